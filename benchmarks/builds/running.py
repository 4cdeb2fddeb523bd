"""A command, and what it took with everything it started.

CPU seconds are what the kernel has counted for processes when they are waited for, user and
system. Who is orphaned comes to this process and is waited for here; what is in a PID
namespace is waited for by its first process, or by the kernel when that ends. So daemons and
namespaces are counted; a process whose parent ignores SIGCHLD is not.

Memory and steps are sampled: every 20 ms the tree of processes is walked. A process that
comes and goes between two samples is missed, and a step lacks what it took after the last
one. Memory is resident pages; those that several processes have, as forks of one process do,
count once, a share for each (Pss in proc_pid_smaps(5)).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

SAMPLE_SECONDS = 0.02
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SHOWN = 1 << 13
"""Bytes of output that are shown of a command that failed."""
PATIENCE = 5.0
"""Seconds that processes have which a command left behind, before they are killed."""

NOT_OURS = re.compile(r"apt|dpkg|mmdebstrap|mksquashfs")
"""Starts of the names of processes whose memory, and that of all below them, is not ours."""

_STARTER = b"kiwilite.build.starter"
_STEP = re.compile(r"/work/([^/.]+)\.[^/]*/log$")
"""In the name of a step's log, where its process writes: the start of the key of its result."""

_PR_SET_CHILD_SUBREAPER = 36


Look = Literal["processes", "clock"]


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU in seconds, and the most bytes resident at one moment without apt and mksquashfs."""

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a command took; `steps` by the first 16 digits of the key, where it is a build."""

    cpu: float
    wall: float
    memory: int
    steps: Mapping[str, Cost]


@dataclass(frozen=True, slots=True)
class Process:
    """A row of /proc."""

    pid: int
    name: str
    ticks: int
    """CPU of it and of the children it has waited for."""
    resident: int
    """Bytes, with all that is shared: no less than its share of them."""
    children: tuple[int, ...]


@dataclass(slots=True)
class Watch:
    """What samples have shown so far."""

    top: int
    memory: int = 0
    names: dict[int, str] = field(default_factory=dict)
    """Key of the step by the process that the build started for it."""
    ticks: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    peaks: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def sample(self) -> None:
        """Look at all processes below this one."""
        ours = [p for child in _children(os.getpid()) for p in _ours(child)]
        self.memory = _more(self.memory, ours)
        starters = (child for child in _children(self.top) if _is_starter(child))
        for child in (step for starter in starters for step in _children(starter)):
            if (name := self._step(child)) is not None:
                self.ticks[name] = max(self.ticks[name], sum(p.ticks for p in _family(child)))
                self.peaks[name] = _more(self.peaks[name], [*_ours(child)])

    def _step(self, child: int) -> str | None:
        if child not in self.names:
            with contextlib.suppress(OSError):
                if found := _STEP.search(str(Path(f"/proc/{child}/fd/1").readlink())):
                    self.names[child] = found[1]
        return self.names.get(child)

    def steps(self) -> dict[str, Cost]:
        return {name: Cost(t / TICK, self.peaks[name]) for name, t in self.ticks.items()}


class Failed(SystemExit):
    """A command ended with an error; ends the program where nobody can do without it."""


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    look: Look = "processes",
) -> Usage:
    """Run a command that has to succeed. Raises Failed, its output shown, where it does not.

    To look at processes takes a tenth of a processor or more; with `clock` nothing looks at
    them, and there is no memory and there are no steps.
    """
    _adopt_orphans()
    others = frozenset(_children(os.getpid()))
    with tempfile.TemporaryFile() as log:
        begun = time.monotonic()
        child = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        watch = Watch(child.pid)
        try:
            with _sampling(watch) if look == "processes" else contextlib.nullcontext():
                cpu = _wait(child)
                wall = time.monotonic() - begun
        finally:
            orphans = _wait_for_orphans(others)  # the command itself, where we are interrupted
        if child.returncode != 0:
            log.seek(-min(log.tell() or os.fstat(log.fileno()).st_size, SHOWN), os.SEEK_END)
            sys.stderr.buffer.write(log.read())
            raise Failed(f"{command[0]} ended with status {child.returncode}")
    return Usage(cpu + orphans, wall, watch.memory, watch.steps())


def _adopt_orphans() -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise SystemExit("this kernel gives orphans to nobody: they cannot be counted")


def _wait(child: subprocess.Popen[bytes]) -> float:
    """CPU seconds of all that were waited for until `child` ended."""
    cpu = 0.0
    while child.returncode is None:
        pid, status, usage = os.wait4(-1, 0)
        cpu += usage.ru_utime + usage.ru_stime
        if pid == child.pid:
            child.returncode = os.waitstatus_to_exitcode(status)
    return cpu


def _wait_for_orphans(others: Collection[int]) -> float:
    """End what the command left behind, and count it; `others` are no children of it."""
    cpu, begun = 0.0, time.monotonic()
    while left := [pid for pid in _children(os.getpid()) if pid not in others]:
        sign = signal.SIGTERM if time.monotonic() - begun < PATIENCE else signal.SIGKILL
        for pid in left:
            os.kill(pid, sign)  # a child that has ended keeps its number until it is waited for
        time.sleep(SAMPLE_SECONDS)
        for pid in left:
            ended, _, usage = os.wait4(pid, os.WNOHANG)
            cpu += usage.ru_utime + usage.ru_stime if ended else 0
    return cpu


@contextlib.contextmanager
def _sampling(watch: Watch) -> Iterator[None]:
    """Sample beside what is done inside."""
    ended = threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            watch.sample()

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        yield
    finally:
        ended.set()
        sampler.join()


def _is_starter(pid: int) -> bool:
    """Whether a process is the one that a build has its steps started by."""
    try:
        return _STARTER in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def _process(pid: int) -> Process | None:
    """The process; None where it has ended meanwhile."""
    with contextlib.suppress(OSError, IndexError):
        head, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        # From the state on, field 3 of proc(5): 14 to 17 are times, 24 is resident pages.
        fields = rest.split()
        ticks = sum(map(int, fields[11:15]))
        resident = int(fields[21]) * PAGE
        return Process(pid, head.partition("(")[2], ticks, resident, tuple(_children(pid)))
    return None


def _family(pid: int) -> Iterator[Process]:
    process = _process(pid)
    if process is not None:
        yield process
        for child in process.children:
            yield from _family(child)


def _ours(pid: int) -> Iterator[Process]:
    """A process and all below it, as far as they are ours."""
    process = _process(pid)
    if process is not None and not NOT_OURS.match(process.name):
        yield process
        for child in process.children:
            yield from _ours(child)


def _more(most: int, processes: Sequence[Process]) -> int:
    """The memory of all these, if that is more than `most`."""
    # To find shares the kernel walks through all pages, so only where it can be more.
    if sum(p.resident for p in processes) <= most:
        return most
    return max(most, sum(_share(p.pid) for p in processes))


def _share(pid: int) -> int:
    """Bytes resident in a process, its share of what others have too."""
    with contextlib.suppress(OSError):
        found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)
        return int(found[1]) << 10 if found else 0
    return 0
