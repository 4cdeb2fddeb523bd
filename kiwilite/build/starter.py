"""Starts the processes of a build by forking one that has imported what they need.

An interpreter takes as long to start, and its modules to load, as many a step takes to run,
and a build has dozens of steps. The starter is a process with one thread, so a fork of it
is sound, which one of the build itself is not.

    build ── request, descriptors ──▶ starter ── fork ──▶ MODULE.main(words)
          ◀──── pidfd, then status, on a socket of this process's own

It ends when the build lets go of it or dies, and what it started dies with it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from kiwilite.build import syscalls as sc
from kiwilite.build.job import BASE_ENVIRONMENT
from kiwilite.build.python import import_path, python_command

_MOST_BYTES, _MOST_FDS = 1 << 18, 8
_KILLED = -signal.SIGKILL


@dataclass(frozen=True, slots=True)
class Call:
    """`main(words, fds)` of a module of ours, which returns an exit status.

    `imports` are modules it is known to need: what they load, later calls have as well.
    """

    module: str
    words: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the host, with all that it sees of an environment."""

    words: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(slots=True)
class Started:
    """A process that the starter forked, seen from the build."""

    pid: int
    """0 where the starter died before it said."""
    _pidfd: int | None
    _answer: socket.socket
    _status: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Who kills may be another thread than the one that waits, and closes the pidfd."""

    def kill(self) -> None:
        """End it, if it has not ended."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._pidfd is not None and self._status is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None where nobody has waited for its end yet."""
        return self._status

    def wait(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        if self._status is None:
            said = self._answer.recv(16)  # empty: the starter was killed, and it with it
            self._answer.close()
            with self._lock:
                self._status = int(said) if said else _KILLED
                if self._pidfd is not None:
                    os.close(self._pidfd)
        return self._status


@dataclass(slots=True)
class Starter:
    """The build's end of the line. Several threads may use it."""

    _line: socket.socket
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, call: Call, *, log: int, fds: Sequence[int] = ()) -> Started:
        """Start a process with copies of `fds`, BASE_ENVIRONMENT, and its output in `log`."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        data = json.dumps([call.module, call.words, call.imports]).encode()
        with theirs, self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._line, [data], [theirs.fileno(), log, *fds])
        said, got, *_ = socket.recv_fds(ours, 16, 1, socket.MSG_CMSG_CLOEXEC)
        return Started(int(said or 0), got[0] if got else None, ours)

    def load(self, modules: Sequence[str]) -> None:
        """Let it import modules that calls will need, one by one while nothing is asked of it."""
        with self._lock, contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._line.send(json.dumps(modules).encode())


@contextlib.contextmanager
def serving() -> Iterator[Starter]:
    """A starter, until the end of the block. The thread that enters it has to live as long."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ways = [*import_path().split(os.pathsep), *filter(None, sys.path)]
    with ours:
        with theirs:
            child = subprocess.Popen(
                python_command("kiwilite.build.starter", str(theirs.fileno())),
                env={**BASE_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(dict.fromkeys(ways))},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Control-C is for the build, which ends them all
            )
        try:
            yield Starter(ours)
        finally:
            child.kill()
            child.wait()


@dataclass(slots=True)
class Standby:
    """Starters for the runs of a build, one after the other; the first may be there early.

    All of it is for the thread that outlives these runs.
    """

    _early: tuple[contextlib.ExitStack, Starter] | None = None

    def prepare(self, modules: Sequence[str]) -> None:
        """Have one ready that loads `modules`, unless there is one."""
        if self._early is None:
            stack = contextlib.ExitStack()
            self._early = stack, stack.enter_context(serving())
            self._early[1].load(modules)

    @contextlib.contextmanager
    def serving(self) -> Iterator[Starter]:
        """The one that is ready, or another, until the end of the block."""
        early, self._early = self._early, None
        with early[0] if early else contextlib.ExitStack() as stack:
            yield early[1] if early else stack.enter_context(serving())

    def close(self) -> None:
        """End one that nobody needed."""
        if self._early is not None:
            self._early[0].close()
            self._early = None


@dataclass(slots=True)
class _Serving:
    """The starter's side: what it was asked for."""

    line: socket.socket
    waiting: selectors.BaseSelector
    to_load: list[str] = field(default_factory=list)
    running: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)
    """By pidfd: process id, and where its end is to be told."""

    def ask(self) -> bool:
        """Do what the build asks for next; whether it is still there."""
        data, fds, *_ = socket.recv_fds(self.line, _MOST_BYTES, _MOST_FDS, socket.MSG_CMSG_CLOEXEC)
        if not data:
            return False
        request = json.loads(data)
        if not fds:
            self.to_load += request
            return True
        answer = socket.socket(fileno=fds[0])
        pid, pidfd = _fork(request, fds[1:])
        with contextlib.suppress(OSError):
            socket.send_fds(answer, [str(pid).encode()], [pidfd])
        self.running[pidfd] = pid, answer
        self.waiting.register(pidfd, selectors.EVENT_READ)
        return True

    def tell(self, pidfd: int) -> None:
        """Tell how a process has ended."""
        self.waiting.unregister(pidfd)
        pid, answer = self.running.pop(pidfd)
        os.close(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with answer, contextlib.suppress(OSError):
            answer.send(str(status).encode())


def _serve(line: socket.socket) -> None:
    """Fork what is asked for and tell how it ended, until the build goes away."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(line, selectors.EVENT_READ)
        serving = _Serving(line, waiting)
        while True:
            found = waiting.select(0 if serving.to_load else None)
            if not found:
                _load([serving.to_load.pop(0)])
            for key, _ in found:
                if key.fileobj is not line:
                    serving.tell(key.fd)
                elif not serving.ask():
                    return


def _load(modules: Sequence[str]) -> None:
    for name in modules:
        with contextlib.suppress(Exception):  # where it matters it is raised, and said, again
            importlib.import_module(name)


def _fork(request: Any, fds: Sequence[int]) -> tuple[int, int]:
    """Process id and pidfd of a process that carries out the request."""
    module, words, imports = request
    _load((module, *imports))
    gc.freeze()
    starter = os.getpid()
    pid = os.fork()
    if pid == 0:
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:
            os._exit(1)
        gc.enable()
        log, *others = fds
        os.dup2(log, 1)
        os.dup2(log, 2)
        _close_all_but(others)
        carry_out(Call(module, tuple(words)), others)
    for fd in fds:
        os.close(fd)
    return pid, os.pidfd_open(pid)


def _close_all_but(fds: Sequence[int]) -> None:
    """Close what is the starter's: other processes' answers, above all."""
    for path in Path("/proc/self/fd").iterdir():
        if (fd := int(path.name)) > 2 and fd not in fds:
            with contextlib.suppress(OSError):
                os.close(fd)


def carry_out(call: Call, fds: Sequence[int] = ()) -> NoReturn:
    """Be the process that this call is, a fork of another, to the end."""
    status = 1
    try:
        status = importlib.import_module(call.module).main(call.words, fds)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main(words: Sequence[str]) -> None:
    """Be the starter, with the descriptor of the line as only word."""
    gc.disable()  # what it imports stays, and it makes nothing else
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    _serve(socket.socket(fileno=int(words[0])))


if __name__ == "__main__":
    main(sys.argv[1:])
