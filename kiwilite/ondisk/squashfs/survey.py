"""What files contain, as one digest for each of their blocks."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.sparse import any_set, data_blocks

if TYPE_CHECKING:  # every build imports this module, and few what a squashfs is made of
    from kiwilite.ondisk.squashfs.tree import RegularFile

ZEROS: Final = b""
"""The digest of a block that has nothing but zeros."""

_MOST_BYTES: Final = 8 << 20
_MOST_FILES: Final = 64

Digests = tuple[bytes, ...]
"""SHA-256 of each block, or ZEROS; a file shorter than a block has one digest, an empty
file none."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class InOrder(Protocol):
    """What applies a function to all items and gives the results in their order: `map`, or
    its equal on several processors. `items` can be gone through more than once."""

    def __call__(
        self, function: Callable[[Item], Result], items: Iterable[Item], /
    ) -> Iterator[Result]: ...


Noted = Mapping[bytes, Digests]
"""What is known of files without a look at them, by path."""


class ChangedFile(KiwiliteError):
    """A file is not what it was when its size and content were noted."""


class Extent(NamedTuple):
    """Bytes of a file."""

    path: bytes
    offset: int
    length: int


def read_extent(folder: Path, extent: Extent) -> bytes:
    """What stands there; raises ChangedFile, OSError."""
    fd = _opened(folder, extent.path)
    try:
        return _exactly(os.pread(fd, extent.length, extent.offset), extent.length, extent.path)
    finally:
        os.close(fd)


def survey(
    folder: Path, files: Sequence[RegularFile], block_size: int, noted: Noted, in_order: InOrder
) -> list[Digests]:
    """The digests of each file's blocks; raises ChangedFile, OSError.

    Files that are `noted` are not read: it shows when their blocks are (`blocks`).
    """
    unknown = [f for f in files if f.path not in noted]
    batches = list(_batches(unknown, block_size))
    digests: dict[bytes, Digests] = {**noted, **{f.path: () for f in unknown}}
    function = functools.partial(_digests_of_all, folder, block_size)
    for batch, results in zip(batches, in_order(function, batches), strict=True):
        for extent, result in zip(batch, results, strict=True):
            digests[extent.path] += result
    return [digests[f.path] for f in files]


def _batches(files: Sequence[RegularFile], block_size: int) -> Iterator[list[Extent]]:
    """All contents in pieces of work that are neither too large nor too many."""
    portion = max(_MOST_BYTES // block_size, 1) * block_size
    batch: list[Extent] = []
    size = 0
    for file in files:
        for offset in range(0, file.size, portion):
            extent = Extent(file.path, offset, min(portion, file.size - offset))
            if batch and (len(batch) == _MOST_FILES or size + extent.length > _MOST_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(extent)
            size += extent.length
    if batch:
        yield batch


def _digests_of_all(folder: Path, block_size: int, batch: Sequence[Extent]) -> list[Digests]:
    return [_digests_of(folder, block_size, extent) for extent in batch]


def _digests_of(folder: Path, block_size: int, extent: Extent) -> Digests:
    fd = _opened(folder, extent.path)
    try:
        return digests_of(fd, extent, block_size)
    finally:
        os.close(fd)


def digests_of(fd: int, extent: Extent, block_size: int) -> Digests:
    """The digests of an open file's blocks from one on, or of a file shorter than a block.

    Holes are not read. Raises ChangedFile, OSError.
    """
    if extent.length == 0:
        return ()
    if extent.offset == 0 and extent.length < block_size:
        data = _exactly(os.pread(fd, extent.length, 0), extent.length, extent.path)
        return (hashlib.sha256(data).digest(),)
    end = extent.offset + extent.length
    digests = [ZEROS] * -(-extent.length // block_size)
    for at, data in data_blocks(fd, extent.offset, end, block_size):
        _exactly(data, min(block_size, end - at), extent.path)
        if any_set(data):
            digests[(at - extent.offset) // block_size] = hashlib.sha256(data).digest()
    return tuple(digests)


def _opened(folder: Path, path: bytes) -> int:
    return os.open(os.fsencode(folder) + b"/" + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _exactly(data: bytes, count: int, path: bytes) -> bytes:
    if len(data) != count:
        name = os.fsdecode(path)
        raise ChangedFile("the file became shorter while it was read", where=name)
    return data
