"""Inodes: 16 bytes that all have, and what their type needs. All little-endian.

     0 2  type    2 2  permission bits   4 2  uid   6 2  gid (rows of the id table)
     8 4  mtime  12 4  inode number

     type  from byte 16 on
     1     folder: block u32, links u32, listing's size + 3 u16, offset u16, parent u32
     2     file: start u32, fragment u32, offset in it u32, size u32, block words
     3     symbolic link: links u32, length u32, target
     4, 5  block, character device: links u32, device number u32
     6, 7  fifo, socket: links u32

     8     folder: links u32, size + 3 u32, block u32, parent u32, indexes u16, offset u16,
           xattrs u32, indexes
     9     file: start u64, size u64, bytes in holes u64, links u32, fragment u32,
           offset u32, xattrs u32, block words
     10    symbolic link as 3, xattrs u32 at the end; 11 to 14 as 4 to 7, xattrs u32 behind

The first form is for what has no xattrs and fits in it. A block word is a data block's size
on disk; bit 24 says that it is not compressed, and 0 is a block of zeros that is not there.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from kiwilite.ondisk.squashfs.metadata import Cursor, Place
from kiwilite.ondisk.squashfs.superblock import BadSquashfs

FOLDER, FILE, LINK, BLOCK_DEVICE, CHARACTER_DEVICE, FIFO, SOCKET = range(1, 8)
EXTENDED: Final = 7
"""Added to a type: the long form."""
NOTHING: Final = 0xFFFFFFFF
"""No fragment; no xattrs."""
UNCOMPRESSED: Final = 1 << 24

_HEAD: Final = struct.Struct("<HHHHII")
_FOLDER: Final = struct.Struct("<IIHHI")
_LONG_FOLDER: Final = struct.Struct("<IIIIHHI")
_INDEX: Final = struct.Struct("<III")
_FILE: Final = struct.Struct("<IIII")
_LONG_FILE: Final = struct.Struct("<QQQIIII")
_TWO: Final = struct.Struct("<II")
_ONE: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class ListingIndex:
    """A shortcut into a long listing: `position` bytes into it, in the metadata block that
    starts at `start` of the directory table, begins a run of entries with `name`."""

    position: int
    start: int
    name: bytes


@dataclass(frozen=True, slots=True)
class FolderBody:
    """`size` is that of the listing at `place`; `parent` an inode number."""

    place: Place
    size: int
    parent: int
    indexes: tuple[ListingIndex, ...] = ()


@dataclass(frozen=True, slots=True)
class FileBody:
    """`start` is the first block's offset in the image; `holes` counts bytes."""

    start: int
    size: int
    words: tuple[int, ...]
    holes: int = 0
    fragment: int = NOTHING
    offset: int = 0


@dataclass(frozen=True, slots=True)
class DeviceBody:
    """`number` as Linux packs it: minor's low 8 bits, major, the rest of minor."""

    number: int


@dataclass(frozen=True, slots=True)
class Inode:
    """`kind` is a type from 1 to 7; `uid` and `gid` are rows of the id table, `xattrs` one of
    the xattr table or NOTHING. The body is a link's target, or None for fifo and socket."""

    kind: int
    mode: int
    uid: int
    gid: int
    mtime: int
    number: int
    links: int
    body: FolderBody | FileBody | DeviceBody | bytes | None
    xattrs: int = NOTHING

    def pack(self) -> bytes:
        """Its bytes, in the short form where that will do."""
        extended, tail = self._tail()
        kind = self.kind + (EXTENDED if extended else 0)
        return _HEAD.pack(kind, self.mode, self.uid, self.gid, self.mtime, self.number) + tail

    def _tail(self) -> tuple[bool, bytes]:
        match self.body:
            case FolderBody():
                return self._folder(self.body)
            case FileBody():
                return self._file(self.body)
            case bytes():
                tail = _TWO.pack(self.links, len(self.body)) + self.body
            case DeviceBody():
                tail = _TWO.pack(self.links, self.body.number)
            case None:
                tail = _ONE.pack(self.links)
        if self.xattrs == NOTHING:
            return False, tail
        return True, tail + _ONE.pack(self.xattrs)

    def _folder(self, body: FolderBody) -> tuple[bool, bytes]:
        (start, offset), size = body.place, body.size + 3
        if size < 1 << 16 and not body.indexes and self.xattrs == NOTHING:
            return False, _FOLDER.pack(start, self.links, size, offset, body.parent)
        rows = (_INDEX.pack(i.position, i.start, len(i.name) - 1) + i.name for i in body.indexes)
        count = len(body.indexes)
        head = (self.links, size, start, body.parent, count, offset, self.xattrs)
        return True, _LONG_FOLDER.pack(*head) + b"".join(rows)

    def _file(self, body: FileBody) -> tuple[bool, bytes]:
        words = struct.pack(f"<{len(body.words)}I", *body.words)
        short = self.links == 1 and self.xattrs == NOTHING and not body.holes
        if short and max(body.start, body.size) < 1 << 32:
            return False, _FILE.pack(body.start, body.fragment, body.offset, body.size) + words
        head = _LONG_FILE.pack(
            *(body.start, body.size, body.holes, self.links, body.fragment),
            *(body.offset, self.xattrs),
        )
        return True, head + words


def unpack_inode(cursor: Cursor, block_size: int) -> Inode:
    """Read the inode at `cursor`; raises BadSquashfs."""
    kind, mode, uid, gid, mtime, number = cursor.numbers(_HEAD)
    if not FOLDER <= kind <= SOCKET + EXTENDED:
        raise BadSquashfs(f"squashfs: inodes of type {kind} are not known")
    extended = kind > EXTENDED
    kind -= EXTENDED if extended else 0
    xattrs = NOTHING
    body: FolderBody | FileBody | DeviceBody | bytes | None = None
    if kind == FOLDER:
        links, xattrs, body = _read_folder(cursor, extended=extended)
    elif kind == FILE:
        links, xattrs, body = _read_file(cursor, block_size, extended=extended)
    else:
        if kind == LINK:
            links, length = cursor.numbers(_TWO)
            body = cursor.take(length)
        elif kind in (BLOCK_DEVICE, CHARACTER_DEVICE):
            links, device = cursor.numbers(_TWO)
            body = DeviceBody(device)
        else:
            (links,) = cursor.numbers(_ONE)
        if extended:
            (xattrs,) = cursor.numbers(_ONE)
    return Inode(kind, mode, uid, gid, mtime, number, links, body, xattrs)


def _read_folder(cursor: Cursor, *, extended: bool) -> tuple[int, int, FolderBody]:
    if not extended:
        start, links, size, offset, parent = cursor.numbers(_FOLDER)
        return links, NOTHING, FolderBody(Place(start, offset), _listing(size), parent)
    links, size, start, parent, count, offset, xattrs = cursor.numbers(_LONG_FOLDER)
    indexes = []
    for _ in range(count):
        position, block, length = cursor.numbers(_INDEX)
        indexes.append(ListingIndex(position, block, cursor.take(length + 1)))
    body = FolderBody(Place(start, offset), _listing(size), parent, tuple(indexes))
    return links, xattrs, body


def _listing(size: int) -> int:
    if size < 3:
        raise BadSquashfs(f"squashfs: a folder's listing cannot have {size} bytes")
    return size - 3


def _read_file(cursor: Cursor, block_size: int, *, extended: bool) -> tuple[int, int, FileBody]:
    links, holes, xattrs = 1, 0, NOTHING
    if extended:
        start, size, holes, links, fragment, offset, xattrs = cursor.numbers(_LONG_FILE)
    else:
        start, fragment, offset, size = cursor.numbers(_FILE)
    count = size // block_size if fragment != NOTHING else -(-size // block_size)
    words = struct.unpack(f"<{count}I", cursor.take(4 * count))
    return links, xattrs, FileBody(start, size, words, holes, fragment, offset)
