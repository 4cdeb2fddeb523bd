"""Blocks that earlier images hold compressed, so that they are not compressed again.

Beside an image stands an index of its blocks:

     0  8  magic "kwlblk1\\n"
     8 32  SHA-256 of what decided how blocks were compressed
    40 76  for each block: 32 key, 8 offset in the image, 4 its word as in an inode,
           32 SHA-256 of the bytes there; all little-endian
     … 32  SHA-256 of all before

What comes out of an index never changes an image. It only counts if its own digest is right,
and a block only if the image still has at that place what the index says: else the block is
compressed, and compression gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from kiwilite.ondisk.squashfs.inodes import UNCOMPRESSED

_MAGIC: Final = b"kwlblk1\n"
_ROW: Final = struct.Struct("<32sQI32s")
_DIGEST: Final = 32
_HEAD: Final = len(_MAGIC) + _DIGEST
MOST_ROWS: Final = 200_000
"""About 40 MB of memory: as many blocks as 25 GB of files have."""


class IndexRow(NamedTuple):
    """A block of an image: `word` has its size and whether it is compressed."""

    key: bytes
    offset: int
    word: int
    digest: bytes


def pack_index(rows: Iterable[IndexRow], identity: str) -> bytes:
    """The index of an image whose blocks were compressed by what `identity` names."""
    body = _MAGIC + _settings(identity) + b"".join(_ROW.pack(*row) for row in rows)
    return body + hashlib.sha256(body).digest()


def unpack_index(raw: bytes, identity: str) -> list[IndexRow]:
    """The rows; none where the index is damaged or of blocks that were compressed otherwise."""
    body, digest = raw[:-_DIGEST], raw[-_DIGEST:]
    if body[:_HEAD] != _MAGIC + _settings(identity) or hashlib.sha256(body).digest() != digest:
        return []
    if (len(body) - _HEAD) % _ROW.size:
        return []
    return [IndexRow(*row) for row in _ROW.iter_unpack(body[_HEAD:])]


def _settings(identity: str) -> bytes:
    return hashlib.sha256(identity.encode()).digest()


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """An image and the index of its blocks."""

    image: Path
    index: Path


@dataclass(slots=True)
class KnownBlocks:
    """Where compressed blocks may be had."""

    _rows: dict[bytes, tuple[Path, IndexRow]] = field(default_factory=dict)
    _open: dict[Path, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, images: Sequence[IndexedImage], identity: str) -> KnownBlocks:
        """What `images` have, the first ones first; a missing or damaged one has nothing."""
        known = cls()
        for found in images:
            try:
                rows = unpack_index(found.index.read_bytes(), identity)
            except OSError:
                continue
            if len(known._rows) + len(rows) > MOST_ROWS:
                break
            for row in rows:
                known._rows.setdefault(row.key, (found.image, row))
        return known

    def may_have(self, key: bytes) -> bool:
        """Whether `find` is worth it."""
        return key in self._rows

    def find(self, key: bytes) -> tuple[bytes, int, bytes] | None:
        """The stored form of a block, its word and digest, if it is there and sound."""
        if key not in self._rows:
            return None
        path, row = self._rows[key]
        fd = self._opened(path)
        if fd is None:
            return None
        try:
            data = os.pread(fd, row.word & ~UNCOMPRESSED, row.offset)
        except OSError:
            return None
        sound = hashlib.sha256(data).digest() == row.digest
        return (data, row.word, row.digest) if sound else None

    def _opened(self, path: Path) -> int | None:
        if path not in self._open:
            try:
                self._open[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                self._open[path] = None
        return self._open[path]

    def close(self) -> None:
        """Close the images."""
        for fd in self._open.values():
            if fd is not None:
                os.close(fd)
        self._open.clear()
