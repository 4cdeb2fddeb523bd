"""Copying files with holes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


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
                position += os.copy_file_range(
                    fd, target.fileno(), end - position, position, offset + position
                )
