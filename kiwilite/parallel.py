"""Independent pieces of work on several processors, in order and in bounded memory.

Processes are forked, so they see what their parent had without a copy; each takes every
n-th piece and sends its results through a pipe, which holds it back when nobody reads.
A worker ends with its parent, whatever happens to that.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import pickle
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, TypeVar

from kiwilite.errors import KiwiliteError

MOST_WORKERS = 8
"""More gain little where the disk is the limit, and each takes a few MB."""
_PR_SET_PDEATHSIG = 1

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkerEnded(KiwiliteError):
    """A worker process was killed or crashed before its work was done."""


def processors() -> int:
    """How many workers make sense here: the processors this process may use, at most 8."""
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def in_parallel(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int | None = None
) -> Iterator[Result]:
    """Results of `function` for every item, in the order of the items.

    `items` is gone through once by every worker (a fork of this process), so it must give
    the same each time. An exception of `function` is raised here when its turn comes.
    Raises WorkerEnded where a worker dies. Close the iterator to end the workers early.
    """
    count = processors() if workers is None else workers
    if count == 1:
        yield from map(function, items)
        return
    with contextlib.ExitStack() as stack:
        pipes = [stack.enter_context(_worker(function, items, n, count)) for n in range(count)]
        number = 0
        while True:
            kind, value = _received(pipes[number % count])
            if kind == "end":
                return
            if kind == "failed":
                raise remade(value)
            yield value
            number += 1


def run_all(function: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Carry out `function` for every item, on all processors."""
    for _ in in_parallel(function, items):
        pass


@contextlib.contextmanager
def _worker(
    function: Callable[[Item], Result], items: Iterable[Item], first: int, step: int
) -> Iterator[BinaryIO]:
    """A process that works on every `step`-th item from `first` on, and what it sends."""
    reader, writer = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            _end_with(parent)
            # Else a garbage collection would write to, and so copy, all we share with our parent.
            gc.freeze()
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                _work(function, islice(items, first, None, step), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as pipe:
            yield pipe
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _end_with(parent: int) -> None:
    """In a worker: die when the parent does, and leave interrupts to it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if os.getppid() != parent:
        os._exit(1)


def _work(function: Callable[[Item], Result], items: Iterable[Item], pipe: BinaryIO) -> None:
    try:
        for item in items:
            pickle.dump(("done", function(item)), pipe)
            pipe.flush()
        pickle.dump(("end", None), pipe)
    except BrokenPipeError:
        return
    except Exception as error:
        pickle.dump(("failed", parts_of(error)), pipe)


class ErrorParts(NamedTuple):
    """An exception as values that can go to another process, to be `remade` there."""

    kind: type[Exception]
    args: tuple[Any, ...]
    members: dict[str, Any]


def parts_of(error: Exception) -> ErrorParts:
    """What `remade` needs; pickling the error itself would call its constructor with `args`."""
    return ErrorParts(type(error), error.args, error.__dict__)


def remade(parts: ErrorParts) -> Exception:
    """The exception of another process, whatever its own way to be made is."""
    kind, args, members = parts
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(members)
    return error


def _received(pipe: BinaryIO) -> tuple[str, Any]:
    try:
        kind, value = pickle.load(pipe)
    except (EOFError, pickle.UnpicklingError):
        raise WorkerEnded("a worker process ended before its work was done") from None
    return kind, value
