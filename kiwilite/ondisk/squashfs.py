"""The superblock of squashfs 4.0: 96 bytes at the start, little-endian.

     0 4  "hsqs"                  20 2  compressor
     4 4  inodes                  28 2  version, 4
     8 4  time of making          40 8  bytes used
    12 4  block size

Source: Documentation/filesystems/squashfs.rst of Linux and its squashfs_fs.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError

SIZE: Final = 96
_FIELDS: Final = struct.Struct("<4sIIIIHHHHHHQQ")
_COMPRESSORS: Final = {1: "gzip", 2: "lzma", 3: "lzo", 4: "xz", 5: "lz4", 6: "zstd"}


class BadSquashfs(KiwiliteError):
    """What stands there is no squashfs 4.0."""


@dataclass(frozen=True, slots=True)
class SquashfsSuperblock:
    """`bytes_used` is the length of the file system, without what pads it."""

    inodes: int
    made_at: int
    block_size: int
    compressor: str
    bytes_used: int

    @classmethod
    def unpack(cls, raw: bytes) -> SquashfsSuperblock:
        """Read the 96 bytes; raises BadSquashfs."""
        if len(raw) < SIZE or raw[:4] != b"hsqs":
            raise BadSquashfs("no squashfs superblock")
        _, inodes, made_at, block, _, kind, _, _, _, major, _, _, used = _FIELDS.unpack_from(raw)
        if major != 4 or kind not in _COMPRESSORS:
            raise BadSquashfs(f"squashfs version {major} with compressor {kind} is not known")
        return cls(inodes, made_at, block, _COMPRESSORS[kind], used)
