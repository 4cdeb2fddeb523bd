"""SHA-256 of files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final

from kiwilite.ondisk.sparse import data_ranges

_CHUNK: Final = 1 << 18
_ZEROS: Final = bytes(_CHUNK)


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content.

    Holes are not read: the kernel would make pages of zeros, only to have them copied.
    """
    total, done = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        for low, high in data_ranges(stream.fileno(), 0, size):
            _add_zeros(total, low - done)
            done = _add_content(total, stream.fileno(), low, high)
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
    for at in range(0, count, _CHUNK):
        total.update(_ZEROS if count - at >= _CHUNK else _ZEROS[: count - at])
