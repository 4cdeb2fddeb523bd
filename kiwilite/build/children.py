"""The processes a build has running, so that an interrupted one ends them at once."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()
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
def attended(child: subprocess.Popen[bytes]) -> Iterator[None]:
    """While inside, `end_all` reaches `child`; it never outlives the block."""
    with _lock:
        _running.add(child)
    try:
        yield
    finally:
        with _lock:
            _running.discard(child)
        if child.poll() is None:
            child.kill()
        child.wait()


def end_all() -> None:
    """Kill what runs and let no more steps start; namespaces die with who made them."""
    _stopping.set()
    with _lock:
        for child in _running:
            child.kill()
