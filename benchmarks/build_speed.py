"""What a build of descriptions/x86 costs, beside other builders and the tools all of them need.

    python benchmarks/build_speed.py [--json] [--runs N] [--peer-runs N] [SECTION]...

Sections, all of them where none is named:

- clean: a build from nothing but the packages in the cache, with each of its steps; the
  tools that any such build needs, alone, on the same packages and tree, right after each
  build; KIWI and mkosi on what comes near the same image. Why one of them cannot be had
  here is said, and counts as a limit that is exceeded.
- changes: the build again without a change, and after each of: another kernel command line,
  one changed overlay file, one more package. The image with that package has to have the
  bytes of one that was built from nothing. The changed file once more where the root is
  compressed as it is by default, which descriptions/x86 does not.
- memory: the most our processes have together, and whether a larger disk takes more.
- growth: CPU, wall and memory for root trees of 100 MB, 500 MB and 2 GB. It takes 8 GB of disk.

Numbers are medians of the runs, memory is the most of them; all runs on the machine it is
started on, one thing after the other. `builds/running.py` says what is counted and what
cannot be. The package cache of the user's store is used and filled, nothing else of it.
Exit status 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from builds import growth, kiwi_peer, mkosi_peer, ours, raw
from builds.measures import MB, Measure, Row, as_data, steps_table, table
from builds.peers import Uninstallable
from builds.running import Failed, Usage

from kiwilite.build.configuration import load
from kiwilite.build.mirrors import host_mirrors

SECTIONS = ("clean", "changes", "memory", "growth")
RUNS, PEER_RUNS = 3, 1


@dataclass(frozen=True, slots=True)
class Found:
    """What a section has to say: tables, numbers with limits, and what could not be done."""

    tables: Sequence[tuple[str, Sequence[Row]]]
    measures: Sequence[Measure] = ()
    remarks: Sequence[str] = ()


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure builds of descriptions/x86.")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    parser.add_argument("--runs", type=count, default=RUNS, metavar="N", help="of each of ours")
    parser.add_argument("--peer-runs", type=count, default=PEER_RUNS, metavar="N", help="of others")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}: {', '.join(SECTIONS)}")
    wanted = options.sections or SECTIONS
    found: list[Found] = []
    with ours.scratch() as base:
        if set(wanted) - {"growth"}:
            found += about_ours(base, wanted, options)
        if "growth" in wanted:
            found.append(Found([("How it grows: all after the packages", growth.trees(base))]))
    print(as_json(found) if options.json else as_text(found))
    return 0 if all(m.within for f in found for m in f.measures) and not remarks_of(found) else 1


def count(text: str) -> int:
    """A number of runs. Raises ValueError for anything else."""
    if (number := int(text)) < 1:
        raise ValueError(text)
    return number


def about_ours(base: Path, wanted: Iterable[str], options: argparse.Namespace) -> list[Found]:
    """The sections that look at builds of descriptions/x86."""
    found = []
    tools: list[Mapping[str, Usage]] = []

    def run_tools(packages: Path, tree: Path) -> None:
        if "clean" in wanted:
            tools.append(raw.measure(base / f"raw-{len(tools)}", packages, tree))

    builds = ours.measure(base, options.runs, run_tools)
    if "clean" in wanted:
        found.append(clean(builds, tools, options.peer_runs))
    if "changes" in wanted:
        found.append(changes(builds))
    if "memory" in wanted:
        disks = growth.disks(base, options.runs)
        found.append(memory(builds, disks))
    return found


def clean(builds: ours.Builds, tools: Sequence[Mapping[str, Usage]], peer_runs: int) -> Found:
    """A clean build against the tools alone, which ran right after each, and against others."""
    mirrors = host_mirrors(load(None).mirrors)
    mine = builds.row(ours.CLEAN)
    ratios = [
        build.cpu / sum(usage.cpu for usage in alone.values())
        for build, alone in zip(mine.usages, tools, strict=True)
    ]
    measures = [Measure("clean build / the tools alone, CPU", statistics.median(ratios), 1.25)]
    tables = [("kiwilite", [mine]), ("The tools alone", raw.rows(tools))]
    remarks = []
    peers: Mapping[str, tuple[Callable[[Mapping[str, str], int], tuple[Row, ...]], float]] = {
        "KIWI": (kiwi_peer.measure, 1 / 4),
        "mkosi": (mkosi_peer.measure, 2 / 3),
    }
    for name, (measure, most) in peers.items():
        try:
            rows = measure(mirrors, peer_runs)
        except (Uninstallable, Failed) as error:
            remarks.append(f"{name} cannot be measured here: {error}")
        else:
            tables.append((name, rows))
            measures.append(Measure(f"clean build / {name}'s, CPU", mine.cpu / rows[0].cpu, most))
    return Found(tables, measures, remarks)


def changes(builds: ours.Builds) -> Found:
    """What a change costs."""
    mine = builds.row(ours.CLEAN)
    overlay, package = builds.row(ours.OVERLAY_FILE), builds.row(ours.PACKAGE_ADDED)
    small, overlay_small = (
        builds.row(name) for name in (ours.SMALL_ROOT, ours.SMALL_ROOT_OVERLAY_FILE)
    )
    measures = [
        Measure(f"{ours.NOTHING}, wall", builds.clocked[ours.NOTHING], 0.3, "s"),
        Measure(f"{ours.COMMAND_LINE}, wall", builds.clocked[ours.COMMAND_LINE], 1.5, "s"),
        Measure(f"{overlay_small.name} / clean, CPU", overlay_small.cpu / small.cpu, 1 / 10),
        Measure(f"{overlay.name}, root at level 3 / clean, CPU", overlay.cpu / mine.cpu, 1 / 5),
        Measure("one small package added / clean build, CPU", package.cpu / mine.cpu, 1 / 2),
        Measure("its image differs from a clean build's", not builds.same_bytes, 0),
        Measure("all steps after the packages, CPU", builds.after_packages(), 12, "s"),
        Measure("initrd, compressed", builds.initrd_bytes / MB, 12, "MB"),
    ]
    return Found([("kiwilite", builds.rows)], measures)


def memory(builds: ours.Builds, disks: Sequence[Row]) -> Found:
    """What our own processes have, and that a disk's size does not matter."""
    small, large = (statistics.median(u.memory for u in row.usages) for row in disks)
    most = max(row.memory for row in (*builds.rows, *disks))
    measures = [
        Measure("our own processes together, peak memory", most / MB, 300, "MB"),
        Measure(f"{disks[-1].name} / {disks[0].name}, peak memory", large / small, 1.1),
    ]
    return Found([("Another disk, clean build", disks)], measures)


def remarks_of(found: Sequence[Found]) -> list[str]:
    """What could not be measured, of all sections."""
    return [remark for section in found for remark in section.remarks]


def as_text(found: Sequence[Found]) -> str:
    """Tables, with the steps of what has any, then numbers with their limits."""
    parts = [f"descriptions/x86, profile {ours.PROFILE}, {os.cpu_count()} processors"]
    seen: set[str] = set()
    for title, rows in (each for section in found for each in section.tables):
        parts.append(table(title, rows))
        for row in (r for r in rows if any(u.steps for u in r.usages)):
            if f"{title}{row.name}" not in seen:
                parts[-1] += f"\n\n  {row.name}, by step\n{steps_table(row)}"
            seen.add(f"{title}{row.name}")
    parts += remarks_of(found)
    parts.append("\n".join(m.line() for section in found for m in section.measures))
    return "\n\n".join(parts)


def as_json(found: Sequence[Found]) -> str:
    """The same for programs."""
    data = {
        "cpus": os.cpu_count(),
        "measures": [{**asdict(m), "within": m.within} for f in found for m in f.measures],
        "tables": [
            {"title": title, "rows": [as_data(row) for row in rows]}
            for f in found
            for title, rows in f.tables
        ],
        "remarks": remarks_of(found),
    }
    return json.dumps(data, indent=1)


if __name__ == "__main__":
    sys.exit(main())
