"""How long `kiwilite image verify` takes, compared with reading the image once.

Usage: verify_speed.py IMAGE [RUNS]
       verify_speed.py --json

With --json it is the reference image, built as users do, and numbers for a program.
Each run first asks the kernel to forget the file's pages, so that both read from the
drive; then both again from memory. Printed are the least wall-clock times of all runs.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kiwilite.inspect.source import opened
from kiwilite.inspect.verdict import Verdict
from kiwilite.inspect.verify import Given, verify

CHUNK = 1 << 20
LIMIT = 3.0  # times as long as reading


def forget(path: Path) -> None:
    """Have the next reads of a file come from the drive."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def read(path: Path) -> None:
    """Read all of a file."""
    with path.open("rb", buffering=0) as stream:
        while stream.read(CHUNK):
            pass


def check(path: Path) -> None:
    """Verify it, which must find nothing."""
    with opened(path) as disk:
        report = verify(disk, Given())
    assert report.verdict is Verdict.SOUND, report.findings


def seconds(work: Callable[[Path], None], path: Path, runs: int, *, cold: bool) -> float:
    """The least wall-clock time of several runs."""
    times = []
    for _ in range(runs):
        if cold:
            forget(path)
        start = time.monotonic()
        work(path)
        times.append(time.monotonic() - start)
    return min(times)


def measure_reference() -> int:
    """Print the measures of the reference image; the status says whether the limit is kept."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "vm"))
    from reference_image import build

    measures = []
    with tempfile.TemporaryDirectory(prefix="kiwilite-verify-", dir="/var/tmp") as target:
        raw = build(Path(target)).raw
        for cold, name in ((True, "from the drive"), (False, "from memory")):
            ratio = seconds(check, raw, 3, cold=cold) / seconds(read, raw, 3, cold=cold)
            measure = {"what": f"verify, {name}", "value": ratio, "unit": "times reading it"}
            measures.append({**measure, "limit": LIMIT} if cold else measure)
    print(json.dumps(measures, indent=1))
    return 0 if float(str(measures[0]["value"])) < LIMIT else 1


def main() -> int:
    """Print a table; returns the exit status."""
    if sys.argv[1:] == ["--json"]:
        return measure_reference()
    path, runs = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
    print(f"{path.name}: {path.stat().st_size / (1 << 20):.0f} MiB, load {os.getloadavg()[0]:.1f}")
    for cold in (True, False):
        once = seconds(read, path, runs, cold=cold)
        whole = seconds(check, path, runs, cold=cold)
        name = "from the drive" if cold else "from memory"
        print(f"{name}: read {once:.2f} s, verified {whole:.2f} s, {whole / once:.1f} times")
    own, others = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
    print(f"processor time of all runs {cpu:.1f} s, most memory {own.ru_maxrss // 1024} MiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
