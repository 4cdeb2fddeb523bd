"""Stores blocks: compressed now, or as an earlier image has them."""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from kiwilite.ondisk.squashfs.codec import Codec
from kiwilite.ondisk.squashfs.inodes import UNCOMPRESSED
from kiwilite.ondisk.squashfs.known_blocks import IndexRow, KnownBlocks
from kiwilite.ondisk.squashfs.packing import Block
from kiwilite.ondisk.squashfs.survey import ChangedFile, Extent, InOrder, read_extent

_AT_ONCE: Final = 4
"""Blocks that make one piece of work: few, for memory, and enough that pieces take alike long."""


class _Stored(NamedTuple):
    """A block as it stands in an image; `word` as in an inode, `digest` of `data`."""

    data: bytes
    word: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class StoredBlocks:
    """Where each block stands now, and how many did not have to be compressed."""

    rows: tuple[IndexRow, ...]
    reused: int


def store(
    folder: Path,
    blocks: Sequence[Block],
    codec: Codec,
    known: KnownBlocks,
    target: BinaryIO,
    in_order: InOrder,
) -> StoredBlocks:
    """Append the blocks to `target`; raises ChangedFile, OSError."""
    rows, reused, offset = [], 0, target.tell()
    new = [block for block in blocks if not known.may_have(block.key)]
    batches = [new[n : n + _AT_ONCE] for n in range(0, len(new), _AT_ONCE)]
    function = functools.partial(_compress_all, folder, codec)
    compressed = itertools.chain.from_iterable(in_order(function, batches))
    for block in blocks:
        stored: _Stored | None
        if known.may_have(block.key):
            # What is to be copied goes through no pipe.
            stored = _taken(known, block.key)
            reused += stored is not None
            stored = stored or _compressed(folder, codec, block)
        else:
            stored = next(compressed)
        target.write(stored.data)
        rows.append(IndexRow(block.key, offset, stored.word, stored.digest))
        offset += len(stored.data)
    return StoredBlocks(tuple(rows), reused)


def _taken(known: KnownBlocks, key: bytes) -> _Stored | None:
    found = known.find(key)
    return None if found is None else _Stored(*found)


def _compress_all(folder: Path, codec: Codec, blocks: Sequence[Block]) -> list[_Stored]:
    return [_compressed(folder, codec, block) for block in blocks]


def _compressed(folder: Path, codec: Codec, block: Block) -> _Stored:
    """Read and compress a block. Raises ChangedFile where it is not what it was taken for.

    Else the index would tell later images that other content is this block's.
    """
    content = b"".join(_read(folder, extent, digest) for extent, digest in block.extents)
    compressed = codec.compress(content)
    data = content if compressed is None else compressed
    word = len(data) | (UNCOMPRESSED if compressed is None else 0)
    return _Stored(data, word, hashlib.sha256(data).digest())


def _read(folder: Path, extent: Extent, digest: bytes) -> bytes:
    data = read_extent(folder, extent)
    if hashlib.sha256(data).digest() != digest:
        raise ChangedFile("the file changed since it was examined", where=os.fsdecode(extent.path))
    return data
