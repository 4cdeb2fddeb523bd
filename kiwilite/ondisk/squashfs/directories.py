"""Listings of folders: runs of up to 256 entries whose inodes share a metadata block.

run    0 4  entries - 1     4 4  inodes' metadata block   8 4  inode number N
entry  0 2  inode's offset  2 2  inode number - N, signed 4 2  type (short form)
       6 2  name's length - 1   8 … name
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kiwilite.ondisk.squashfs.inodes import ListingIndex
from kiwilite.ondisk.squashfs.metadata import BLOCK, Cursor, MetadataWriter, Place
from kiwilite.ondisk.squashfs.superblock import BadSquashfs

LONGEST_NAME: Final = 256
_MOST_ENTRIES: Final = 256
_RUN: Final = struct.Struct("<III")
_ENTRY: Final = struct.Struct("<HhHH")


class Entry(NamedTuple):
    """A name, and where its inode stands; `kind` is a type from 1 to 7."""

    name: bytes
    inode: Place
    number: int
    kind: int


@dataclass(frozen=True, slots=True)
class Listing:
    """Where a listing stands in the directory table, its size, and shortcuts into it."""

    place: Place
    size: int
    indexes: tuple[ListingIndex, ...]


def add_listing(table: MetadataWriter, entries: Sequence[Entry]) -> Listing:
    """Append a folder's entries, which are in order of name.

    A folder whose listing goes over several metadata blocks gets an index of the first run
    in each but the first.
    """
    if not entries:
        return Listing(Place(0, 0), 0, ())
    place, begun = table.place(), table.position()
    block, indexes = begun // BLOCK, []
    for run in _runs(entries):
        at = table.position()
        if at // BLOCK != block:
            block = at // BLOCK
            indexes.append(ListingIndex(at - begun, table.place().start, run[0].name))
        base = run[0].number
        table.add(_RUN.pack(len(run) - 1, run[0].inode.start, base))
        for e in run:
            head = _ENTRY.pack(e.inode.offset, e.number - base, e.kind, len(e.name) - 1)
            table.add(head + e.name)
    return Listing(place, table.position() - begun, tuple(indexes))


def _runs(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    run: list[Entry] = []
    size = 0
    for entry in entries:
        more = _ENTRY.size + len(entry.name)
        if run and (
            len(run) == _MOST_ENTRIES
            or entry.inode.start != run[0].inode.start
            or not -(1 << 15) <= entry.number - run[0].number < 1 << 15
            or size + more > BLOCK
        ):
            yield run
            run, size = [], 0
        run.append(entry)
        size += more
    yield run


def read_listing(cursor: Cursor, size: int) -> Iterator[Entry]:
    """The entries of a listing of `size` bytes; raises BadSquashfs."""
    left = size
    while left > 0:
        count, start, base = cursor.numbers(_RUN)
        left -= _RUN.size
        if count >= _MOST_ENTRIES:
            raise BadSquashfs(f"squashfs: a run of {count + 1} names in a folder")
        for _ in range(count + 1):
            offset, more, kind, length = cursor.numbers(_ENTRY)
            if length >= LONGEST_NAME:
                raise BadSquashfs(f"squashfs: a name of {length + 1} bytes")
            left -= _ENTRY.size + length + 1
            if left < 0:
                raise BadSquashfs("squashfs: a folder's listing is longer than the folder says")
            yield Entry(cursor.take(length + 1), Place(start, offset), base + more, kind)
