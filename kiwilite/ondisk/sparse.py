"""Copying files with holes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20
# From one file system to another, or where the kernel or the file system cannot do it.
CANNOT_SHARE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def copy_sparse(source: Path, target: BinaryIO, offset: int) -> None:
    """Copy a file's data to `offset` bytes in `target`.

    Holes stay holes, and on file systems that can, blocks are shared instead of copied.
    """
    target.flush()
    with source.open("rb") as stream:
        fd, position = stream.fileno(), 0
        size = os.fstat(fd).st_size
        while position < size:
            try:
                position = os.lseek(fd, position, os.SEEK_DATA)
            except OSError:  # ENXIO: nothing but a hole up to the end
                return
            end = os.lseek(fd, position, os.SEEK_HOLE)
            while position < end:
                position += _copy(fd, position, end - position, target.fileno(), offset + position)


def _copy(source: int, position: int, count: int, target: int, offset: int) -> int:
    """Copy up to `count` bytes; how many."""
    try:
        copied = os.copy_file_range(source, target, count, position, offset)
    except OSError as error:
        if error.errno not in CANNOT_SHARE:
            raise
        copied = 0
    if copied:
        return copied
    data = os.pread(source, min(count, CHUNK), position)
    if not data:
        raise OSError(errno.EIO, "the file became shorter while it was copied")
    return os.pwrite(target, data, offset)
