"""Whether kiwilite and KIWI agree about which descriptions are valid, counted.

    python3 -m venv /tmp/kiwi && /tmp/kiwi/bin/pip install kiwi
    python benchmarks/agreement_with_kiwi.py --kiwi /tmp/kiwi/bin/python [--json]

Nothing is installed by this program: it needs a Python that has KIWI 11 in it. Put to both:

- valid descriptions: over the whole vocabulary (every image type, package manager, element,
  attribute and listed value), some that vary at random, and some in older vocabularies;
- broken descriptions: one mistake each, of every kind in tests/unit/description/breakages.py;
- with --real DIRECTORY: all *.kiwi and *.xml files in and below it that have an `<image>`, as
  they are; and those that are valid, broken in each of these ways.

Where kiwilite differs on purpose (docs/agreement.md) it is not counted. Exit status 1 where
there is a disagreement, or a mistake that is not reported on its line.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "unit" / "description"))

from breakages import BREAKAGES, name_of  # noqa: E402
from older import older_specimens  # noqa: E402
from specimens import Part, part_of, render, some_specimen, systematic  # noqa: E402

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic  # noqa: E402
from kiwilite.description.load import read  # noqa: E402

ON_PURPOSE = ("KL0201",)
"""Errors of kiwilite that KIWI passes in silence: a profile that nobody declares."""

SHOWN = 10
"""So many disagreements are printed."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number, and the most it may be where there is a limit."""

    name: str
    value: float
    unit: str
    limit: float | None = None


@dataclass(slots=True)
class Tally:
    """What came of one lot of descriptions."""

    tried: int = 0
    disagreements: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    cascades: list[str] = field(default_factory=list)
    kinds: set[str] = field(default_factory=set)


class Kiwi:
    """KIWI in a process of its own."""

    def __init__(self, python: str) -> None:
        command = [python, str(ROOT / "benchmarks" / "kiwi_oracle.py")]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def complaint(self, file: Path) -> str:
        """Why KIWI refuses `file`; empty where it takes it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{file}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit("KIWI's Python ended; does it have kiwi installed?")
        return str(json.loads(answer)["why"])


@contextmanager
def kiwi_of(python: str) -> Iterator[Kiwi]:
    kiwi = Kiwi(python)
    try:
        yield kiwi
    finally:
        assert kiwi.process.stdin
        kiwi.process.stdin.close()
        kiwi.process.wait()


def errors(file: Path) -> list[Diagnostic]:
    """What kiwilite has against `file`, whatever is chosen of it."""
    try:
        problems = read(file).problems
    except DescriptionInvalid as error:
        problems = error.diagnostics
    return [problem for problem in problems if problem.severity == "error"]


def valid(kiwi: Kiwi, file: Path, count: int) -> Tally:
    tally = Tally()
    specimens = [*systematic(), *(some_specimen(seed) for seed in range(count))]
    texts = [render(specimen, seed).text for seed, specimen in enumerate(specimens)]
    for number, text in enumerate([*texts, *older_specimens()]):
        file.write_text(text)
        ours, theirs = errors(file), kiwi.complaint(file)
        tally.tried += 1
        if ours or theirs:
            told = f"kiwilite: {ours[0] if ours else 'valid'}; KIWI: {theirs or 'valid'}"
            tally.disagreements.append(f"valid {number}: {told}")
    return tally


def broken(kiwi: Kiwi, file: Path, makers: Sequence[Callable[[], Part]]) -> Tally:
    """Each kind of breakage tried on what each of `makers` makes."""
    tally = Tally()
    for breakage in BREAKAGES:
        name = name_of(breakage)
        for seed, make in enumerate(makers):
            made = breakage(make(), random.Random(f"{name} {seed}"))
            if made is None:
                continue
            file.write_text(made.text)
            ours = errors(file)
            tally.kinds.add(name)
            tally.tried += 1
            if len(ours) > 1:
                tally.cascades.append(f"{name} {seed}: {'; '.join(map(str, ours))}")
            if made.place[0] not in {problem.span.line for problem in ours}:
                tally.elsewhere.append(f"{name} {seed}: line {made.place[0]}, not {ours}")
            if not ours or (made.kiwi and not kiwi.complaint(file)):
                side = "KIWI" if ours else "kiwilite"
                tally.disagreements.append(f"{name} {seed}: {side} accepts it")
    return tally


def real(kiwi: Kiwi, directory: Path) -> tuple[Tally, list[Path]]:
    """Descriptions by others, as they are; and those that are valid."""
    tally = Tally()
    good = []
    for file in sorted([*directory.rglob("*.kiwi"), *directory.rglob("*.xml")]):
        if b"<image" not in file.read_bytes():
            continue
        found = errors(file)
        ours = [error for error in found if error.code not in ON_PURPOSE]
        theirs = kiwi.complaint(file)
        tally.tried += 1
        if bool(ours) != bool(theirs):
            told = f"kiwilite: {ours[0] if ours else 'valid'}; KIWI: {theirs or 'valid'}"
            tally.disagreements.append(f"{file}: {told}")
        elif not found:
            good.append(file)
    return tally, good


def measures_of(name: str, tally: Tally) -> list[Measure]:
    measures = [
        Measure(f"{name} descriptions", tally.tried, "files"),
        Measure(f"{name}: KIWI and kiwilite disagree", len(tally.disagreements), "files", 0),
    ]
    if tally.kinds:
        measures += [
            Measure(f"{name}: kinds of breakage", len(tally.kinds), "kinds"),
            Measure(f"{name}: not reported on its line", len(tally.elsewhere), "files", 0),
            Measure(f"{name}: more than one diagnostic", len(tally.cascades), "files", 0),
        ]
    return measures


def main() -> int:
    parser = argparse.ArgumentParser(description="Count where kiwilite and KIWI disagree.")
    python = os.environ.get("KIWI_PYTHON")
    parser.add_argument(
        "--kiwi",
        default=python,
        required=python is None,
        metavar="PYTHON",
        help="one that has KIWI; default: $KIWI_PYTHON",
    )
    parser.add_argument("--count", type=int, default=40, help="random ones, and of each breakage")
    parser.add_argument("--real", type=Path, metavar="DIRECTORY", help="descriptions by others")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, kiwi_of(options.kiwi) as kiwi:
        file = Path(directory) / "appliance.kiwi"
        lots = {"valid": valid(kiwi, file, options.count)}
        specimens = [partial(some_specimen, seed) for seed in range(options.count)]
        lots["broken"] = broken(kiwi, file, specimens)
        if options.real:
            lots["real"], good = real(kiwi, options.real)
            roots = [read(path).root for path in good]
            plain = [root for root in roots if not any("{" in n.name for n in root.walk())]
            lots["broken real"] = broken(kiwi, file, [partial(part_of, root) for root in plain])
    measures = [measure for name, lot in lots.items() for measure in measures_of(name, lot)]
    if options.json:
        print(json.dumps([asdict(measure) for measure in measures], indent=1))
    else:
        for lot in lots.values():
            for line in [*lot.disagreements, *lot.elsewhere, *lot.cascades][:SHOWN]:
                print(line)
        for m in measures:
            limit = "" if m.limit is None else f"  (at most {m.limit:g})"
            print(f"{m.name:52} {m.value:6g} {m.unit}{limit}")
    return 1 if any(m.limit is not None and m.value > m.limit for m in measures) else 0


if __name__ == "__main__":
    sys.exit(main())
