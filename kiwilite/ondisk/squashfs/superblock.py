"""The superblock of squashfs 4.0: 96 bytes at the start, little-endian.

     0 4  "hsqs"                 28 2  version, 4         56 8  xattr table
     4 4  inodes                 30 2  its minor part, 0  64 8  inodes
     8 4  time of making         32 8  root's inode       72 8  directories
    12 4  block size             40 8  bytes used         80 8  fragment table
    16 4  fragments              48 8  id table           88 8  export table
    20 2  compressor, 22 2 log2 of the block size, 24 2 flags, 26 2 ids

Tables are given by their offset from the start, all bits set where there is none.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from kiwilite.errors import KiwiliteError

SIZE: Final = 96
NO_TABLE: Final = (1 << 64) - 1
LEAST_BLOCK: Final = 4096
LARGEST_BLOCK: Final = 1 << 20
_FIELDS: Final = struct.Struct("<4sIIIIHHHHHHQQQQQQQQ")
COMPRESSORS: Final = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}
_NUMBERS: Final = {name: number for number, name in COMPRESSORS.items()}


class BadSquashfs(KiwiliteError):
    """What stands there is no squashfs 4.0, or a damaged one."""


class Flags(IntFlag):
    """What the image is like; readers need none of these but OPTIONS."""

    PLAIN_INODES = 0x001
    PLAIN_DATA = 0x002
    PLAIN_FRAGMENTS = 0x008
    NO_FRAGMENTS = 0x010
    DUPLICATES = 0x040
    EXPORT = 0x080
    PLAIN_XATTRS = 0x100
    NO_XATTRS = 0x200
    OPTIONS = 0x400
    PLAIN_IDS = 0x800


@dataclass(frozen=True, slots=True)
class SquashfsSuperblock:
    """`bytes_used` is the length of the file system, without what pads it.

    `root` is an inode's place: that of its metadata block from the start of the inodes,
    shifted left by 16, and the offset in what that block holds.
    """

    inodes: int
    made_at: int
    block_size: int
    compressor: str
    bytes_used: int
    fragments: int
    flags: Flags
    ids: int
    root: int
    id_table: int
    xattr_table: int
    inode_table: int
    directory_table: int
    fragment_table: int
    export_table: int

    @classmethod
    def unpack(cls, raw: bytes) -> SquashfsSuperblock:
        """Read the 96 bytes; raises BadSquashfs."""
        if len(raw) < SIZE or raw[:4] != b"hsqs":
            raise BadSquashfs("no squashfs superblock")
        _, inodes, made_at, block, fragments, kind, _, flags, ids, major, _, *places = (
            _FIELDS.unpack_from(raw)
        )
        if major != 4 or kind not in COMPRESSORS:
            raise BadSquashfs(f"squashfs version {major} with compressor {kind} is not known")
        if not LEAST_BLOCK <= block <= LARGEST_BLOCK or block & (block - 1):
            raise BadSquashfs(f"squashfs superblock: blocks cannot have {block} bytes")
        root, used, *tables = places
        head = (inodes, made_at, block, COMPRESSORS[kind], used, fragments, Flags(flags), ids)
        return cls(*head, root, *tables)

    def pack(self) -> bytes:
        """The 96 bytes."""
        log2 = self.block_size.bit_length() - 1
        return _FIELDS.pack(
            *(b"hsqs", self.inodes, self.made_at, self.block_size, self.fragments),
            *(_NUMBERS[self.compressor], log2, self.flags, self.ids, 4, 0),
            *(self.root, self.bytes_used, self.id_table, self.xattr_table, self.inode_table),
            *(self.directory_table, self.fragment_table, self.export_table),
        )
