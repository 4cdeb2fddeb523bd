"""Extended attributes: sets of them, and a table that gives each set a number.

attribute  0 2  prefix (0 user, 1 trusted, 2 security; 0x100: value stands elsewhere)
           2 2  length of the rest of the name, then that name
           then the value's length u32, and the value
set        0 8  place of its first attribute   8 4  attributes   12 4  bytes
table      0 8  where the attributes start     8 4  sets         12 4  unused
           then u64 for each metadata block of sets: where it starts
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kiwilite.ondisk.squashfs.codec import Codec
from kiwilite.ondisk.squashfs.metadata import (
    Cursor,
    MetadataReader,
    MetadataWriter,
    Place,
    table_with_index,
)
from kiwilite.ondisk.squashfs.superblock import BadSquashfs
from kiwilite.ondisk.squashfs.tree import Xattrs

PREFIXES: Final = (b"user.", b"trusted.", b"security.")
"""Only such attributes can be kept."""
_ELSEWHERE: Final = 0x100
_NAME: Final = struct.Struct("<HH")
_VALUE: Final = struct.Struct("<I")
_SET: Final = struct.Struct("<QII")
_HEAD: Final = struct.Struct("<QII")


@dataclass(frozen=True, slots=True)
class XattrTable:
    """`data` stands at the offset it was made for; its superblock names `head` bytes in."""

    data: bytes
    head: int


def numbered(sets: Iterable[Xattrs]) -> dict[Xattrs, int]:
    """Each set of attributes that is not empty with its number, in order of appearance."""
    distinct = dict.fromkeys(s for s in sets if s)
    return {attributes: number for number, attributes in enumerate(distinct)}


def pack_xattrs(sets: dict[Xattrs, int], codec: Codec, at: int) -> XattrTable:
    """The table of all sets, for the offset `at` of the image."""
    values, rows = MetadataWriter(codec), []
    for attributes in sets:
        raw = b"".join(_attribute(name, value) for name, value in attributes)
        rows.append(_SET.pack(values.add(raw).packed(), len(attributes), len(raw)))
    data = values.finished()
    blocks, index = table_with_index(rows, codec, at + len(data))
    head = _HEAD.pack(at, len(rows), 0)
    return XattrTable(data + blocks + head + index, len(data) + len(blocks))


def _attribute(name: bytes, value: bytes) -> bytes:
    number = next(n for n, prefix in enumerate(PREFIXES) if name.startswith(prefix))
    rest = name.removeprefix(PREFIXES[number])
    return _NAME.pack(number, len(rest)) + rest + _VALUE.pack(len(value)) + value


@dataclass(frozen=True, slots=True)
class XattrReader:
    """`values` has the attributes, `sets` where each set begins and how many it has."""

    values: MetadataReader
    sets: tuple[tuple[int, int], ...]

    def read(self, number: int) -> Xattrs:
        """The set with a number; raises BadSquashfs."""
        if number >= len(self.sets):
            raise BadSquashfs(f"squashfs: there is no set {number} of extended attributes")
        place, count = self.sets[number]
        cursor = self.values.cursor(Place.unpacked(place))
        return tuple(_read_attribute(cursor) for _ in range(count))


def _read_attribute(cursor: Cursor) -> tuple[bytes, bytes]:
    kind, length = cursor.numbers(_NAME)
    if kind & ~_ELSEWHERE >= len(PREFIXES):
        raise BadSquashfs(f"squashfs: extended attributes of type {kind} are not known")
    name = PREFIXES[kind & ~_ELSEWHERE] + cursor.take(length)
    (size,) = cursor.numbers(_VALUE)
    if not kind & _ELSEWHERE:
        return name, cursor.take(size)
    (place,) = struct.unpack("<Q", cursor.take(8))
    elsewhere = cursor.reader.cursor(Place.unpacked(place))
    (size,) = elsewhere.numbers(_VALUE)
    return name, elsewhere.take(size)


def table_head(raw: bytes) -> tuple[int, int]:
    """Where the attributes start, and how many sets there are; of 16 bytes."""
    start, count, _ = _HEAD.unpack(raw)
    return start, count


def set_rows(raw: bytes) -> tuple[tuple[int, int], ...]:
    """(place, attributes) of each set."""
    return tuple((place, count) for place, count, _ in _SET.iter_unpack(raw))


SET_BYTES: Final = _SET.size
HEAD_BYTES: Final = _HEAD.size
