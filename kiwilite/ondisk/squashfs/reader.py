"""Reads a squashfs: names, inodes, contents. Whatever the image says is checked."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from kiwilite.ondisk.squashfs.codec import decompressor
from kiwilite.ondisk.squashfs.directories import Entry, read_listing
from kiwilite.ondisk.squashfs.inodes import (
    NOTHING,
    UNCOMPRESSED,
    FileBody,
    FolderBody,
    Inode,
    unpack_inode,
)
from kiwilite.ondisk.squashfs.metadata import BLOCK, MetadataReader, Place
from kiwilite.ondisk.squashfs.superblock import NO_TABLE, SIZE, BadSquashfs, SquashfsSuperblock
from kiwilite.ondisk.squashfs.tree import Xattrs
from kiwilite.ondisk.squashfs.xattrs import HEAD_BYTES, SET_BYTES, XattrReader, set_rows, table_head


@dataclass(frozen=True, slots=True)
class SquashfsReader:
    """An open image; `open` makes one. Everything raises BadSquashfs for a damaged image."""

    stream: BinaryIO
    superblock: SquashfsSuperblock
    decompress: Callable[[bytes, int], bytes]
    inodes: MetadataReader
    directories: MetadataReader
    fragments: tuple[tuple[int, int], ...]
    ids: tuple[int, ...]
    xattrs: XattrReader

    @classmethod
    def open(cls, stream: BinaryIO) -> SquashfsReader:
        """Read the superblock and the tables that are needed at once."""
        stream.seek(0)
        superblock = SquashfsSuperblock.unpack(stream.read(SIZE))
        if superblock.bytes_used > stream.seek(0, os.SEEK_END):
            raise BadSquashfs("squashfs: the image is cut off")
        decompress = decompressor(superblock.compressor)
        raw = _Raw(stream, superblock.bytes_used, decompress)
        rows = raw.table(superblock.fragment_table, superblock.fragments * 16)
        ids = raw.table(superblock.id_table, superblock.ids * 4)
        return cls(
            stream,
            superblock,
            decompress,
            raw.metadata(superblock.inode_table),
            raw.metadata(superblock.directory_table),
            tuple((start, word) for start, word, _ in struct.iter_unpack("<QII", rows)),
            struct.unpack(f"<{superblock.ids}I", ids),
            _xattrs(raw, superblock.xattr_table),
        )

    def root(self) -> Inode:
        """The root folder."""
        return self.inode(Place.unpacked(self.superblock.root))

    def inode(self, place: Place) -> Inode:
        """The inode at a place."""
        return unpack_inode(self.inodes.cursor(place), self.superblock.block_size)

    def entries(self, folder: FolderBody) -> Iterator[Entry]:
        """The names in a folder."""
        return read_listing(self.directories.cursor(folder.place), folder.size)

    def walk(self) -> Iterator[tuple[bytes, Inode]]:
        """Path (the root's is empty) and inode of everything, a folder before what is in it."""
        pending = [(b"", self.root())]
        numbers, listings = set(), set()
        while pending:
            path, inode = pending.pop()
            yield path, inode
            if not isinstance(inode.body, FolderBody) or not inode.body.size:
                continue
            if inode.number in numbers or inode.body.place in listings:
                raise BadSquashfs("squashfs: a folder has two names, or is inside itself")
            numbers.add(inode.number)
            listings.add(inode.body.place)
            for entry in self.entries(inode.body):
                inner = self.inode(entry.inode)
                if inner.kind != entry.kind:
                    raise BadSquashfs("squashfs: a name and its inode do not fit")
                pending.append((path + b"/" + entry.name, inner))

    def owner(self, inode: Inode) -> tuple[int, int]:
        """User and group id."""
        if max(inode.uid, inode.gid) >= len(self.ids):
            raise BadSquashfs("squashfs: an owner that the id table does not have")
        return self.ids[inode.uid], self.ids[inode.gid]

    def attributes(self, inode: Inode) -> Xattrs:
        """The extended attributes."""
        return () if inode.xattrs == NOTHING else self.xattrs.read(inode.xattrs)

    def blocks(self, file: FileBody) -> Iterator[bytes]:
        """A file's content, block by block."""
        size, at = self.superblock.block_size, file.start
        for number, word in enumerate(file.words):
            length = min(size, file.size - number * size)
            data = bytes(length) if word == 0 else self._block(at, word, size)
            at += word & ~UNCOMPRESSED
            if len(data) != length:
                raise BadSquashfs(f"squashfs: a block has {len(data)} bytes instead of {length}")
            yield data
        if file.fragment != NOTHING:
            yield self._tail(file, file.size % size)

    def _tail(self, file: FileBody, length: int) -> bytes:
        if file.fragment >= len(self.fragments):
            raise BadSquashfs(f"squashfs: there is no fragment {file.fragment}")
        start, word = self.fragments[file.fragment]
        data = self._block(start, word, self.superblock.block_size)
        if file.offset + length > len(data):
            raise BadSquashfs("squashfs: a file goes on behind its fragment's end")
        return data[file.offset : file.offset + length]

    def _block(self, at: int, word: int, most: int) -> bytes:
        size = word & ~UNCOMPRESSED
        if size > most or at + size > self.superblock.bytes_used:
            raise BadSquashfs(f"squashfs: no block of {size} bytes can stand at byte {at}")
        self.stream.seek(at)
        data = self.stream.read(size)
        return data if word & UNCOMPRESSED else self.decompress(data, most)


@dataclass(frozen=True, slots=True)
class _Raw:
    stream: BinaryIO
    used: int
    decompress: Callable[[bytes, int], bytes]

    def metadata(self, start: int) -> MetadataReader:
        return MetadataReader(self.stream, start, self.used, self.decompress)

    def read(self, at: int, count: int) -> bytes:
        if at + count > self.used:
            raise BadSquashfs(f"squashfs: a table at byte {at} goes on behind the end")
        self.stream.seek(at)
        return self.stream.read(count)

    def table(self, index: int, size: int) -> bytes:
        """A table of `size` bytes whose index stands at `index`."""
        found = bytearray()
        raw = self.read(index, -(-size // BLOCK) * 8) if size else b""
        reader = self.metadata(0)
        for (start,) in struct.iter_unpack("<Q", raw):
            found += reader.block(start)[0]
        if len(found) != size:
            raise BadSquashfs(f"squashfs: a table has {len(found)} bytes instead of {size}")
        return bytes(found)


def _xattrs(raw: _Raw, at: int) -> XattrReader:
    if at == NO_TABLE:
        return XattrReader(raw.metadata(0), ())
    start, count = table_head(raw.read(at, HEAD_BYTES))
    sets = raw.table(at + HEAD_BYTES, count * SET_BYTES)
    return XattrReader(raw.metadata(start), set_rows(sets))
