"""Metadata: tables as a sequence of blocks that hold up to 8192 bytes each.

    0 2  bytes that follow; bit 15 says that they are not compressed
    2 …  the block

A place in a table is a block's start, counted in bytes on disk from the table's start, and
an offset in what the block holds. What is written may go on in the next block.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from kiwilite.ondisk.squashfs.codec import Codec, Uncompressed
from kiwilite.ondisk.squashfs.superblock import BadSquashfs

BLOCK: Final = 8192
_PLAIN: Final = 0x8000
_MOST_KEPT: Final = 256


class Place(NamedTuple):
    """Where something stands in a table."""

    start: int
    offset: int

    def packed(self) -> int:
        """As one number of 48 bits."""
        return self.start << 16 | self.offset

    @classmethod
    def unpacked(cls, number: int) -> Place:
        """From one number."""
        return cls(number >> 16, number & 0xFFFF)


@dataclass(slots=True)
class MetadataWriter:
    """Collects a table."""

    codec: Codec
    _done: bytearray = field(default_factory=bytearray)
    _pending: bytearray = field(default_factory=bytearray)
    starts: list[int] = field(default_factory=lambda: [0])
    """Where each block starts, the one in the making included."""

    def place(self) -> Place:
        """Where the next bytes go."""
        return Place(self.starts[-1], len(self._pending))

    def position(self) -> int:
        """How many bytes went in so far."""
        return (len(self.starts) - 1) * BLOCK + len(self._pending)

    def add(self, data: bytes) -> Place:
        """Append; where it begins."""
        place = self.place()
        self._pending += data
        while len(self._pending) >= BLOCK:
            self._close(BLOCK)
        return place

    def finished(self) -> bytes:
        """All blocks; `starts` has those that exist then."""
        if self._pending:
            self._close(len(self._pending))
        self.starts.pop()
        return bytes(self._done)

    def _close(self, count: int) -> None:
        self._done += metadata_block(bytes(self._pending[:count]), self.codec)
        del self._pending[:count]
        self.starts.append(len(self._done))


def metadata_block(data: bytes, codec: Codec) -> bytes:
    """One block with its header."""
    made = codec.compress(data)
    if made is None:
        return struct.pack("<H", len(data) | _PLAIN) + data
    return struct.pack("<H", len(made)) + made


def plain_block(data: bytes) -> bytes:
    """One block that is not compressed, whatever compresses the rest."""
    return metadata_block(data, Uncompressed())


def table_with_index(rows: Sequence[bytes], codec: Codec, at: int) -> tuple[bytes, bytes]:
    """A table of rows of one length whose blocks start at `at`: the blocks, and the index
    behind them, the start of each block on disk as u64."""
    writer = MetadataWriter(codec)
    for row in rows:
        writer.add(row)
    blocks = writer.finished()
    return blocks, b"".join(struct.pack("<Q", at + start) for start in writer.starts)


@dataclass(slots=True)
class MetadataReader:
    """Reads a table whose blocks stand in `stream` from `start` up to `end`."""

    stream: BinaryIO
    start: int
    end: int
    decompress: Callable[[bytes, int], bytes]
    _kept: dict[int, tuple[bytes, int]] = field(default_factory=dict)

    def cursor(self, place: Place) -> Cursor:
        """Reads from `place` on."""
        return Cursor(self, place.start, place.offset)

    def block(self, start: int) -> tuple[bytes, int]:
        """What the block at `start` holds, and where the next one starts; raises BadSquashfs."""
        if start not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[start] = self._read(start)
        return self._kept[start]

    def _read(self, start: int) -> tuple[bytes, int]:
        at = self.start + start
        if not self.start <= at <= self.end - 2:
            raise BadSquashfs(f"squashfs: no metadata block can start at byte {at}")
        self.stream.seek(at)
        header = self.stream.read(2)
        size = int.from_bytes(header, "little") & ~_PLAIN
        data = self.stream.read(size)
        if not size or len(data) < size or at + 2 + size > self.end:
            raise BadSquashfs(f"squashfs: the metadata block at byte {at} is cut off")
        if not int.from_bytes(header, "little") & _PLAIN:
            data = self.decompress(data, BLOCK)
        if not 0 < len(data) <= BLOCK:
            raise BadSquashfs(f"squashfs: the metadata block at byte {at} holds {len(data)} bytes")
        return data, start + 2 + size


@dataclass(slots=True)
class Cursor:
    """A place that moves on as one reads."""

    reader: MetadataReader
    start: int
    offset: int

    def take(self, count: int) -> bytes:
        """The next bytes; raises BadSquashfs where the table ends before."""
        taken = bytearray()
        while len(taken) < count:
            data, following = self.reader.block(self.start)
            if self.offset > len(data):
                raise BadSquashfs("squashfs: something is said to stand behind its block's end")
            part = data[self.offset : self.offset + count - len(taken)]
            taken += part
            self.offset += len(part)
            if self.offset == len(data) and len(taken) < count:
                self.start, self.offset = following, 0
        return bytes(taken)

    def numbers(self, layout: struct.Struct) -> tuple[int, ...]:
        """The next fields, by their layout."""
        return layout.unpack(self.take(layout.size))
