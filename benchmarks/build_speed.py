"""How fast and how small a build of descriptions/x86 is, measured.

    python benchmarks/build_speed.py [--json]

What is measured, on the machine it runs on:

- CPU seconds: user and system time of `kiwilite system build` and of every process it
  started and waited for, in a store that has the tree with all packages and nothing
  after it. So customise, initrd, squashfs, hash trees, file systems, UKI, ESP and disk are
  in it; and, beyond the claim, the conversion to qcow2 and the copy with its checksums.
- no change: wall-clock time of the same command again, median of five.
- initrd: size of the compressed archive.
- memory: resident memory of all Python processes of a build added up at the same moment,
  sampled every 20 ms in a build of its own. Pages that processes share count once for each,
  so it is an upper bound. apt, mksquashfs and other tools are not ours and not in it.

The store of the user gives the packages and is not changed but for that; all else happens
in a temporary store beside it. Exit status 1 when a limit is exceeded.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kiwilite.build.configuration import load
from kiwilite.build.store import default_store, remove_tree

DESCRIPTION = Path(__file__).resolve().parents[1] / "descriptions" / "x86"
UP_TO_PACKAGES = ("fetch-bootstrap", "bootstrap", "pack", "packages")
REPEATS = 5
SAMPLE_SECONDS = 0.02
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Measure:
    """One number and the most it may be, in `unit`."""

    name: str
    value: float
    limit: float
    unit: str

    @property
    def within(self) -> bool:
        return self.value < self.limit


@dataclass(frozen=True, slots=True)
class Usage:
    """What one run of the command took."""

    cpu: float
    wall: float


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure builds of descriptions/x86.")
    parser.add_argument("--json", action="store_true", help="print numbers for a program")
    wants_json = parser.parse_args().json
    measures = measure()
    if wants_json:
        rows = [{**asdict(m), "within": m.within} for m in measures]
        print(json.dumps({"cpus": os.cpu_count(), "measures": rows}, indent=1))
    else:
        print(f"descriptions/x86, profile bootstrapped, {os.cpu_count()} processors\n")
        for m in measures:
            verdict = "ok" if m.within else "OVER"
            print(f"{m.name:<44}{m.value:8.2f} {m.unit:<4} limit {m.limit:6.2f}  {verdict}")
    return 0 if all(m.within for m in measures) else 1


def measure() -> list[Measure]:
    """All numbers of this benchmark; builds the image in the user's store where it is not yet."""
    user_store = (load(None).store or default_store()).absolute()
    with scratch_store(user_store.parent) as base:
        run_build(base / "first", user_store)
        seed(base / "store", user_store)
        work = run_build(base / "target", base / "store")
        again = [run_build(base / "target", base / "store").wall for _ in range(REPEATS)]
        initrd = (result_of(base / "store", "boot-files") / "initrd").stat().st_size
        seed(base / "other", user_store)
        memory = peak_memory(base / "third", base / "other")
    return [
        Measure("all steps after the packages, CPU", work.cpu, 12, "s"),
        Measure("second build with no change, median of 5", statistics.median(again), 0.5, "s"),
        Measure("initrd, compressed", initrd / 1e6, 12, "MB"),
        Measure("our own processes together, peak memory", memory / 1e6, 300, "MB"),
    ]


@contextlib.contextmanager
def scratch_store(beside: Path) -> Iterator[Path]:
    """A folder for stores and results, removed with all that belongs to foreign ids."""
    beside.mkdir(parents=True, exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="kiwilite-benchmark-", dir=beside))
    base.chmod(0o755)
    try:
        yield base
    finally:
        for folder in base.iterdir():
            for entry in (folder / "entries").glob("*"):
                entry.unlink() if entry.is_symlink() else remove_tree(entry)
        remove_tree(base)


def seed(store: Path, source: Path) -> None:
    """Give a fresh store what the other has up to the tree with all packages, by links."""
    (store / "entries").mkdir(parents=True)
    for about in (source / "entries").glob("*/about.json"):
        if json.loads(about.read_text())["step"] in UP_TO_PACKAGES:
            (store / "entries" / about.parent.name).symlink_to(about.parent)
    for name in ("pins", "bootstrap"):
        shutil.copytree(source / name, store / name)
    shutil.copy2(source / "tools.json", store)


def result_of(store: Path, step: str) -> Path:
    """The one result of a step in a store."""
    abouts = (store / "entries").glob("*/about.json")
    found = [p.parent / "out" for p in abouts if json.loads(p.read_text())["step"] == step]
    assert len(found) == 1, f"{len(found)} results of {step}"
    return found[0]


def start_build(target: Path, store: Path, log: int) -> subprocess.Popen[bytes]:
    # The user's own configuration could name another store; JSON is YAML.
    settings = target.with_suffix(".yml")
    settings.write_text(json.dumps({"store": str(store), "mirrors": dict(load(None).mirrors)}))
    command = [sys.executable, "-m", "kiwilite", "system", "build", f"--config={settings}"]
    command += [f"--description={DESCRIPTION}", "--profile=bootstrapped", f"--target-dir={target}"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def run_build(target: Path, store: Path) -> Usage:
    """Build, and what it took with all descendants. Leaves with its output where it fails."""
    with tempfile.TemporaryFile() as log:
        begun = time.monotonic()
        process = start_build(target, store, log.fileno())
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        check(process.returncode, log.fileno())
    return Usage(usage.ru_utime + usage.ru_stime, wall)


def peak_memory(target: Path, store: Path) -> int:
    """Most bytes that the Python processes of a build had resident at one moment."""
    peak = 0
    with tempfile.TemporaryFile() as log:
        process = start_build(target, store, log.fileno())
        while process.poll() is None:
            peak = max(peak, resident(process.pid))
            time.sleep(SAMPLE_SECONDS)
        check(process.returncode, log.fileno())
    return peak


def check(status: int, log: int) -> None:
    if status != 0:
        os.lseek(log, 0, os.SEEK_SET)
        sys.stderr.buffer.write(os.read(log, MIB))
        raise SystemExit(f"the build ended with status {status}")


def resident(top: int) -> int:
    """Bytes resident in the Python processes among `top` and its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            # After the name in parentheses: state, then the parent.
            parents[int(path.name)] = int((path / "stat").read_text().rsplit(")", 1)[1].split()[1])
    family = {top}
    while more := {p for p, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(_resident_if_ours(pid) for pid in family)


def _resident_if_ours(pid: int) -> int:
    with contextlib.suppress(OSError, IndexError):
        process = Path(f"/proc/{pid}")
        program = (process / "cmdline").read_bytes().split(b"\0")[0]
        if Path(os.fsdecode(program)).name.startswith("python"):
            return int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


if __name__ == "__main__":
    sys.exit(main())
