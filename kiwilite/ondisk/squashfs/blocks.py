"""Stores blocks: compressed now, or as an earlier image has them."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from kiwilite.ondisk.squashfs.codec import Codec
from kiwilite.ondisk.squashfs.inodes import UNCOMPRESSED
from kiwilite.ondisk.squashfs.known_blocks import IndexRow, KnownBlocks
from kiwilite.ondisk.squashfs.packing import Block
from kiwilite.ondisk.squashfs.survey import InOrder, read_extent

_AT_ONCE: Final = 4
"""Blocks that make one piece of work: few, for memory, and enough that pieces take alike long."""


class _Made(NamedTuple):
    data: bytes
    word: int
    digest: bytes
    reused: bool


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
    batches = [blocks[n : n + _AT_ONCE] for n in range(0, len(blocks), _AT_ONCE)]
    function = functools.partial(_make_all, folder, codec, known)
    for batch, results in zip(batches, in_order(function, batches), strict=True):
        for block, made in zip(batch, results, strict=True):
            target.write(made.data)
            rows.append(IndexRow(block.key, offset, made.word, made.digest))
            offset += len(made.data)
            reused += made.reused
    return StoredBlocks(tuple(rows), reused)


def _make_all(
    folder: Path, codec: Codec, known: KnownBlocks, blocks: Sequence[Block]
) -> list[_Made]:
    return list(_made(folder, codec, known, blocks))


def _made(
    folder: Path, codec: Codec, known: KnownBlocks, blocks: Sequence[Block]
) -> Iterator[_Made]:
    for block in blocks:
        found = known.find(block.key)
        if found is not None:
            data, word = found
            yield _Made(data, word, hashlib.sha256(data).digest(), True)
            continue
        content = b"".join(read_extent(folder, extent) for extent in block.extents)
        compressed = codec.compress(content)
        data = content if compressed is None else compressed
        word = len(data) | (UNCOMPRESSED if compressed is None else 0)
        yield _Made(data, word, hashlib.sha256(data).digest(), False)
