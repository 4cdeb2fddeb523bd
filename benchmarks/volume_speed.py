"""How fast, how small and how frugal the offline writer of encrypted volumes is, measured.

    python benchmarks/volume_speed.py [--json]

Every row runs the build's own step in a process of its own, on a file system in memory
(/dev/shm), with mkfs.xfs, key derivation and all. Measured are

- MiB of volume per CPU second, user and system time of all processes together: what a
  busy machine changes least;
- two processors against one: how much more CPU the same work takes when it is divided, and
  how many of the two were at work on average, which needs a machine that is idle otherwise.
  Processors share caches and memory, so two volumes made at once by processes that have
  nothing to do with each other may take more CPU than twice one: that is measured beside
  it, and dividing the work has to be near to it;
- the room the image takes, and the CPU a sparse volume costs;
- memory: the most each process had resident, added up, which counts what processes share
  as often as there are processes. Pages of the file in memory are not in it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from uuid import UUID

from kiwilite.build.job import Job
from kiwilite.build.stages import luks_volume
from kiwilite.parallel import processors
from kiwilite.plan.image_steps import LuksVolume, VolumeKey
from kiwilite.plan.references import Output, Secret

MIB = 1 << 20
MEMORY = Path("/dev/shm")
REPEATS = 3
GCM = ("aes-gcm-random", "aead", 256)
XTS = ("aes-xts-plain64", "hmac-sha256", 512)
FULL_MIB, LEAST_MIB, LARGE_MIB = 1024, 384, 4096
DIVIDED = 1.15
"""A divided volume takes at most that many times the CPU of undivided ones side by side."""
AT_WORK = 1.5
"""Of two processors that nothing else wants, that many are at work at least: code that goes
through the volume with one at a time has 1. A machine with other work misses it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A volume to make: sizes in MiB, sectors in bytes; by processors from the `first` on."""

    cipher: str
    integrity: str
    key_bits: int
    fill: str
    size: int
    processors: int
    sector: int = 4096
    first: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What making it took: seconds, and bytes."""

    cpu: float
    wall: float
    room: int
    memory: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `limit` None is for information."""

    what: str
    value: float
    unit: str
    limit: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the value is on the right side of its limit."""
        if self.limit is None:
            return True
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def step_for(case: Case) -> LuksVolume:
    return LuksVolume(
        layout=Output("layout"),
        partition="p",
        cipher=case.cipher,
        integrity=case.integrity,
        key_bits=case.key_bits,
        sector_size=case.sector,
        uuid=UUID(int=1),
        volume_id=UUID(int=2),
        filesystem_uuid=UUID(int=3),
        keys=(VolumeKey("", Secret("insecure"), "pbkdf2", 1000, 0, 1),),
        fill="full" if case.fill == "full" else "sparse",
        journal="written",
        where="benchmark",
        epoch=1_700_000_000,
    )


def make(case: Case) -> Taken:
    """Carry out the step in this process."""
    ours = sorted(os.sched_getaffinity(0))[case.first :]
    os.sched_setaffinity(0, ours[: case.processors])
    with tempfile.TemporaryDirectory(dir=MEMORY, prefix="kiwilite-benchmark-") as name:
        base = Path(name)
        for folder in ("out", "scratch", "layout"):
            (base / folder).mkdir()
        rows = {"partitions": [{"name": "p", "start": 0, "size": case.size * MIB}]}
        (base / "layout/geometry.json").write_text(json.dumps(rows))
        outputs = {"layout": base / "layout"}
        job = Job("", base / "out", base / "scratch", base / "log", outputs, {}, base, {})
        before, begun = os.times(), time.monotonic()
        luks_volume.run(step_for(case), job)
        wall, after = time.monotonic() - begun, os.times()
        room = (base / "out/image").stat().st_blocks * 512
    own, workers = (
        resource.getrusage(who).ru_maxrss * 1024
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    count = processors() if processors() > 1 else 0
    cpu = sum(after[:4]) - sum(before[:4])
    return Taken(cpu, wall, room, own + count * workers)


def started(case: Case) -> subprocess.Popen[str]:
    """Carry out the step in a new process."""
    command = [sys.executable, __file__, "--one", json.dumps(asdict(case))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def ended(child: subprocess.Popen[str]) -> Taken:
    out, _ = child.communicate()
    if child.returncode != 0:
        raise SystemExit("a volume could not be made")
    return Taken(**json.loads(out))


def taken_by(case: Case) -> Taken:
    return ended(started(case))


def side_by_side(case: Case) -> float:
    """CPU seconds of each of two such volumes made at once, by one processor each; the median."""
    means = []
    for _ in range(REPEATS):
        pair = [started(replace(case, processors=1, first=first)) for first in (0, 1)]
        means.append(sum(ended(child).cpu for child in pair) / 2)
    return sorted(means)[REPEATS // 2]


def middle(case: Case) -> Taken:
    """The run with the median of CPU seconds."""
    return sorted((taken_by(case) for _ in range(REPEATS)), key=lambda t: t.cpu)[REPEATS // 2]


def rate(case: Case, taken: Taken) -> float:
    return case.size / taken.cpu


def full_rows(
    name: str, cipher: tuple[str, str, int], least: float | None, sector: int
) -> list[Row]:
    size = FULL_MIB if sector == 4096 else LEAST_MIB
    one = Case(*cipher, "full", size, 1, sector)
    two = Case(*cipher, "full", size, 2, sector)
    alone, both = middle(one), middle(two)
    rows = [
        Row(f"full, {name}, one processor", rate(one, alone), "MiB/CPU s", least, at_least=True),
        Row(f"full, {name}, two processors", rate(two, both), "MiB/CPU s", least, at_least=True),
    ]
    if least is not None:
        beside = side_by_side(one)
        rows += [
            Row(f"full, {name}, CPU of two against one", both.cpu / alone.cpu, "times", 1.25),
            Row(f"full, {name}, the same of two volumes at once", beside / alone.cpu, "times"),
            Row(f"full, {name}, divided against at once", both.cpu / beside, "times", DIVIDED),
        ]
        at_work = both.cpu / both.wall
        what = f"full, {name}, processors at work of two"
        rows.append(Row(what, at_work, "of 2", AT_WORK, at_least=True))
        rows.append(Row(f"full, {name}, wall of one against two", alone.wall / both.wall, "times"))
    rows.append(Row(f"full, {name}, memory", both.memory / 1e6, "MB", 100))
    return rows


def memory_rows() -> list[Row]:
    """That it does not grow with a volume, nor with the number of sectors."""
    large = taken_by(Case(*GCM, "full", LARGE_MIB, 2))
    small = taken_by(Case(*XTS, "full", FULL_MIB, 2, 512))
    name = f"full, GCM, {LARGE_MIB // 1024} GiB, memory"
    return [
        Row(name, large.memory / 1e6, "MB", 100),
        Row("full, XTS+HMAC, sectors of 512, 1 GiB, memory", small.memory / 1e6, "MB", 100),
    ]


def sparse_rows() -> list[Row]:
    rows = []
    for gib in (1, 3, 4, 16, 1024):
        taken = middle(Case(*XTS, "sparse", gib * 1024, 2))
        limits = (1.0, 32.0) if gib == 3 else (None, None)
        rows.append(Row(f"sparse, XTS+HMAC, {gib} GiB, CPU", taken.cpu, "s", limits[0]))
        rows.append(Row(f"sparse, XTS+HMAC, {gib} GiB, image", taken.room / 1e6, "MB", limits[1]))
        rows.append(Row(f"sparse, XTS+HMAC, {gib} GiB, memory", taken.memory / 1e6, "MB", 100))
    gcm = middle(Case(*GCM, "sparse", 3072, 2))
    rows.append(Row("sparse, GCM, 3 GiB, CPU", gcm.cpu, "s", 1.0))
    rows.append(Row("sparse, GCM, 3 GiB, image", gcm.room / 1e6, "MB", 32.0))
    return rows


def measured() -> list[Row]:
    rows = full_rows("GCM, sectors of 4096", GCM, 300, 4096)
    rows += full_rows("XTS+HMAC, sectors of 4096", XTS, 150, 4096)
    rows += full_rows("GCM, sectors of 512", GCM, None, 512)
    rows += full_rows("XTS+HMAC, sectors of 512", XTS, None, 512)
    return rows + memory_rows() + sparse_rows()


def table(rows: Sequence[Row]) -> str:
    width = max(len(row.what) for row in rows)
    lines = []
    for row in rows:
        limit = ""
        if row.limit is not None:
            sign = ">=" if row.at_least else "<="
            limit = f"{sign} {row.limit:g}  {'met' if row.met else 'MISSED'}"
        lines.append(f"{row.what:<{width}}  {row.value:8.2f} {row.unit:<10} {limit}".rstrip())
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    if words[:1] == ["--one"]:
        print(json.dumps(asdict(make(Case(**json.loads(words[1]))))))
        return 0
    rows = measured()
    print(json.dumps([asdict(r) for r in rows], indent=1) if words == ["--json"] else table(rows))
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
