"""Copying files with holes."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20
# From one file system to another, or where the kernel or the file system cannot do it.
CANNOT_SHARE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


def copy_sparse(source: Path, target: BinaryIO, offset: int) -> None:
    """Copy a file's data to `offset` bytes in `target`.

    Holes stay holes, and on file systems that can, blocks are shared instead of copied.
    """
    with source.open("rb") as stream:
        copy_open(stream, target, offset)


def copy_open(source: BinaryIO, target: BinaryIO, offset: int) -> None:
    """`copy_sparse` of a file that is open, and may have lost its name."""
    target.flush()
    fd, position = source.fileno(), 0
    size = os.fstat(fd).st_size
    while position < size:
        try:
            position = os.lseek(fd, position, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            return
        end = os.lseek(fd, position, os.SEEK_HOLE)
        while position < end:
            position += _copy(fd, position, end - position, target.fileno(), offset + position)


def any_set(data: bytes) -> bool:
    """Whether anything but zeros is in it. Fast both ways: compared, not counted."""
    return data != bytes(len(data))


def data_ranges(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """What of a file is not a hole, as ranges (start, end) within the given one."""
    while start < end:
        try:
            low = os.lseek(fd, start, os.SEEK_DATA)
            high = os.lseek(fd, low, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:  # a hole up to the end
                return
            low, high = start, end  # a block device, or a file system that cannot tell
        if low >= end:
            return
        yield low, min(high, end)
        start = high


def data_blocks(fd: int, start: int, end: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Offset and content of all blocks with data in them, as `block_ranges` has them."""
    return ((at, os.pread(fd, length, at)) for at, length in block_ranges(fd, start, end, size))


def block_ranges(fd: int, start: int, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Offset and length of all blocks with data in them.

    Blocks have `size` bytes and stand at multiples of it, counted from `start`; the
    last one is as short as `end` makes it.
    """
    done = start
    for low, high in data_ranges(fd, start, end):
        at = max(done, start + (low - start) // size * size)
        while at < high:
            yield at, min(size, end - at)
            at += size
        done = at


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
