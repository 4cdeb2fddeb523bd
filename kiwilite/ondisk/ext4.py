"""The superblock of ext2, ext3 and ext4: what it takes to name a file system and its size.

1024 bytes at byte 1024, little-endian: 4 blocks (lower half), 24 log2 of the block size
minus 10, 56 the magic 0xEF53, 104 UUID, 120 label of 16 bytes, 336 blocks (upper half).
Source: Documentation/filesystems/ext4/super.rst of Linux.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kiwilite.errors import KiwiliteError

OFFSET: Final = 1024
SIZE: Final = 1024
_MAGIC: Final = b"\x53\xef"


class BadExt4(KiwiliteError):
    """What stands there is no ext4."""


@dataclass(frozen=True, slots=True)
class Ext4Superblock:
    """Names and sizes; blocks have `block_size` bytes."""

    uuid: UUID
    label: str
    block_size: int
    blocks: int

    @property
    def size(self) -> int:
        """Bytes of the file system."""
        return self.blocks * self.block_size

    @classmethod
    def unpack(cls, raw: bytes) -> Ext4Superblock:
        """Read the 1024 bytes that stand at byte 1024; raises BadExt4."""
        if len(raw) < SIZE or raw[56:58] != _MAGIC:
            raise BadExt4("no ext4 superblock")
        log2 = int.from_bytes(raw[24:28], "little")
        if log2 > 6:
            raise BadExt4(f"blocks of 2^{10 + log2} bytes are not possible")
        upper = int.from_bytes(raw[336:340], "little")
        return cls(
            uuid=UUID(bytes=raw[104:120]),
            label=raw[120:136].rstrip(b"\0").decode("utf-8", "replace"),
            block_size=1024 << log2,
            blocks=upper << 32 | int.from_bytes(raw[4:8], "little"),
        )
