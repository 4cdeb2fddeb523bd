"""The processes a build has running, so that an interrupted one ends them at once."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_running: set[subprocess.Popen[bytes]] = set()


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
    """Kill what runs; namespaces die with the process that made them."""
    with _lock:
        for child in _running:
            child.kill()
