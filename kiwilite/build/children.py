"""The processes a build has running, so that an interrupted one ends them at once."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Protocol


class Child(Protocol):
    """A process: of `subprocess`, or of the starter."""

    def kill(self) -> None: ...
    def poll(self) -> int | None: ...
    def wait(self) -> int: ...


_lock = threading.Lock()
_running: dict[int, Child] = {}
"""By identity."""
_stopping = threading.Event()


class Stopped(Exception):
    """The build was interrupted before this step began."""


def may_start() -> None:
    """Raises Stopped once `end_all` was called: the build is on its way out."""
    if _stopping.is_set():
        raise Stopped


def begin() -> None:
    """A build begins."""
    _stopping.clear()


@contextlib.contextmanager
def attended(child: Child) -> Iterator[None]:
    """While inside, `end_all` reaches `child`; it never outlives the block."""
    with _lock:
        _running[id(child)] = child
    try:
        yield
    finally:
        with _lock:
            _running.pop(id(child))
        if child.poll() is None:
            child.kill()
        child.wait()


def end_all() -> None:
    """Kill what runs and let no more steps start; namespaces die with who made them."""
    _stopping.set()
    with _lock:
        for child in _running.values():
            child.kill()
