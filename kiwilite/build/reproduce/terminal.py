"""A terminal for a process, whose screen is a file."""

from __future__ import annotations

import os
import pty
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO


@contextmanager
def drained(log: BinaryIO) -> Iterator[int]:
    """The descriptor of a terminal to start a process on; what it shows goes to `log`."""
    screen, end = pty.openpty()
    reader = threading.Thread(target=_drain, args=(screen, log), daemon=True)
    reader.start()
    try:
        yield end
    finally:
        os.close(end)
        reader.join()
        os.close(screen)


def _drain(screen: int, log: BinaryIO) -> None:
    with suppress(OSError):  # EIO: the last process on the terminal is gone
        while data := os.read(screen, 1 << 16):
            log.write(data)
