"""How long `kiwilite image verify` takes, compared with reading the image once.

    python benchmarks/verify_speed.py [--json]      disks of 2 GiB, full of data
    python benchmarks/verify_speed.py IMAGE [RUNS]  an image of yours

Measured are a disk that is one verified squashfs, and one that is half a squashfs and half
a volume with every sector written: without its key, when the seal covers it, and with the
key, when each sector is decrypted and the file system inside checked.

Each comparison is made twice. From the drive: the kernel is first asked to forget the
file's pages. From memory: both read what it has kept; then the least that any check of a
hash tree takes is a pass of SHA-256 on all processors, so that is measured too, in the
same run. Times are the least wall-clock times of three runs; CPU seconds, which a busy
machine changes least, are of all processes together.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import filled_image
from filled_image import KEY, Filled

from kiwilite.inspect.source import opened
from kiwilite.inspect.verdict import Verdict
from kiwilite.inspect.verify import Given, verify
from kiwilite.inspect.volume import Key
from kiwilite.ondisk.encryption import encryption
from kiwilite.parallel import processors, run_all

CHUNK = 1 << 20
LIMIT = 3.0  # times as long as reading
HASH_LIMIT = 2.5  # times the CPU of SHA-256 alone, reading and starting included
RUNS = 3
XTS = encryption("aes-xts-plain64", "hmac-sha256", 4096)
AEGIS = encryption("aegis128-random", "aead", 4096)
Work = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `limit` None is for information."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def met(self) -> bool:
        """Whether the value keeps its limit."""
        return self.limit is None or self.value < self.limit


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds."""

    wall: float
    cpu: float


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


def hashed(path: Path) -> None:
    """SHA-256 of every MiB of a file, on all processors."""
    fd = os.open(path, os.O_RDONLY)
    try:
        run_all(partial(_hash, fd), range(0, path.stat().st_size, CHUNK))
    finally:
        os.close(fd)


def _hash(fd: int, at: int) -> None:
    hashlib.sha256(os.pread(fd, CHUNK, at)).digest()


def checked(path: Path, *keys: bytes, wanted: Verdict | None = Verdict.SOUND) -> None:
    """Verify it; of our own disks we know what comes of it."""
    with opened(path) as disk:
        report = verify(disk, Given(tuple(Key("benchmark", key) for key in keys)))
    assert wanted in (None, report.verdict), report.findings


def opened_with_key(path: Path) -> None:
    """Verify it with the key of its volume."""
    checked(path, KEY)


def taken(work: Work, path: Path, runs: int, *, cold: bool) -> Taken:
    """The least of several runs."""
    rows = []
    for _ in range(runs):
        if cold:
            forget(path)
        before, begun = os.times(), time.monotonic()
        work(path)
        wall, after = time.monotonic() - begun, os.times()
        rows.append(Taken(wall, sum(after[:4]) - sum(before[:4])))
    return Taken(min(r.wall for r in rows), min(r.cpu for r in rows))


def against_reading(
    name: str, path: Path, work: Work, *, runs: int = RUNS, limit: float | None = LIMIT
) -> Iterator[Row]:
    """From the drive and from memory."""
    for cold in (True, False):
        place = "from the drive" if cold else "from memory"
        once, whole = (taken(each, path, runs, cold=cold) for each in (read, work))
        least = limit if cold else None
        yield Row(f"{name}, {place}", whole.wall / once.wall, "times reading it", least)
    yield Row(f"{name}, CPU", whole.cpu, "s")


def against_hashing(name: str, path: Path, work: Work) -> Iterator[Row]:
    """What SHA-256 alone would take, and how far from it a check is."""
    alone, once, whole = (taken(each, path, RUNS, cold=False) for each in (hashed, read, work))
    rate = path.stat().st_size / (1 << 20) / alone.cpu
    yield Row("SHA-256 and reading alone", rate, "MiB/CPU s")
    yield Row(
        f"SHA-256 alone on {processors()} processors, from memory",
        alone.wall / once.wall,
        "times reading",
    )
    yield Row(f"{name}, CPU", whole.cpu / alone.cpu, "times SHA-256 alone", HASH_LIMIT)


def measured(folder: Path) -> Iterator[Row]:
    """All rows; the disks are made in `folder`, one at a time."""
    with disk(folder, Filled(2014)) as path:
        yield from against_reading("squashfs of 2 GiB", path, checked)
        yield from against_hashing("squashfs of 2 GiB", path, checked)
    for name, kind in (("XTS+HMAC", XTS), ("AEGIS", AEGIS)):
        with disk(folder, Filled(1000, 1000, kind)) as path:
            if kind is XTS:
                yield from against_reading("squashfs and volume, no key", path, checked)
            yield from against_reading(
                f"squashfs and volume ({name}), with key",
                path,
                opened_with_key,
                limit=None,
            )


@contextmanager
def disk(folder: Path, filled: Filled) -> Iterator[Path]:
    """Such a disk, for as long as it is measured."""
    path = folder / "disk.raw"
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        filled_image.make(path, Path(scratch), filled)
    yield path
    path.unlink()


def table(rows: Sequence[Row]) -> str:
    width = max(len(row.what) for row in rows)
    lines = []
    for row in rows:
        limit = "" if row.limit is None else f"< {row.limit:g}  {'met' if row.met else 'MISSED'}"
        lines.append(f"{row.what:<{width}}  {row.value:8.2f} {row.unit:<20} {limit}".rstrip())
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    """Print a table; returns the exit status."""
    if words and words[0] != "--json":
        path, runs = Path(words[0]), int(words[1]) if len(words) > 1 else RUNS
        work = partial(checked, wanted=None)
        rows = list(against_reading(path.name, path, work, runs=runs, limit=None))
    else:
        with tempfile.TemporaryDirectory(prefix="kiwilite-verify-", dir="/var/tmp") as name:
            rows = list(measured(Path(name)))
    print(json.dumps([asdict(r) for r in rows], indent=1) if "--json" in words else table(rows))
    print(f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
