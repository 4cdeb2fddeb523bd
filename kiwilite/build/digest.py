"""SHA-256 of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final

from kiwilite.ondisk.sparse import data_ranges

_CHUNK: Final = 1 << 18
_ZEROS: Final = bytes(1 << 20)  # more at once than of data: nothing is read into it


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content.

    Holes are not read: the kernel would make pages of zeros, only to have them copied.
    """
    with path.open("rb", buffering=0) as stream:
        return digest_open(stream.fileno())


def digest_open(fd: int) -> str:
    """`digest_file` of a file that is open; where it was read to before does not matter."""
    total, done = hashlib.sha256(), 0
    size = os.fstat(fd).st_size
    for low, high in data_ranges(fd, 0, size):
        _add_zeros(total, low - done)
        done = _add_content(total, fd, low, high)
    _add_zeros(total, size - done)
    return total.hexdigest()


def _add_content(total: Any, fd: int, low: int, high: int) -> int:
    """Where it ended: before `high` where the file became shorter meanwhile."""
    buffer = memoryview(bytearray(min(_CHUNK, high - low)))
    while low < high:
        count = os.preadv(fd, [buffer[: high - low]], low)
        if count == 0:
            break
        total.update(buffer[:count])
        low += count
    return low


def _add_zeros(total: Any, count: int) -> None:
    for _ in range(count // len(_ZEROS)):
        total.update(_ZEROS)
    total.update(memoryview(_ZEROS)[: count % len(_ZEROS)])
