"""XFS superblock: sizes, where the log stands, where the allocation groups begin.

Superblock (at byte 0 of the file system and of every allocation group, big-endian):

     0  4  "XFSB"                        88  4  number of allocation groups
     4  4  block size, bytes             96  4  blocks of the log
     8  8  blocks of the file system    102  2  sector size, bytes
    32 16  UUID                         108 12  label, NUL-padded
    48  8  first block of the log       124  1  log2 of blocks per group, rounded up
    84  4  blocks per group

A block number has the group in its upper bits (from log2 of blocks per group on) and the
block within the group below. Source: "XFS Filesystem Disk Structures" of the XFS project.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kiwilite.errors import KiwiliteError

SUPERBLOCK_BYTES: Final = 512
_FIELDS: Final = struct.Struct(">4sIQ16x16sQ28xIIxxxxI2xH4x12s4xB")


class BadXfs(KiwiliteError):
    """What stands there is no XFS, or one with impossible sizes; `field` says which."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"XFS superblock, {field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class XfsSuperblock:
    """What of the superblock tells where things stand. Blocks have `block_size` bytes."""

    uuid: UUID
    label: str
    block_size: int
    sector_size: int
    blocks: int
    group_blocks: int
    groups: int
    log_start: int
    """First block of the log, counted from the file system's start; 0: an external log."""
    log_blocks: int

    @classmethod
    def unpack(cls, raw: bytes) -> XfsSuperblock:
        """Read the first 512 bytes of a file system; raises BadXfs."""
        if len(raw) < SUPERBLOCK_BYTES:
            raise BadXfs("length", f"{len(raw)} bytes are too few")
        magic, size, blocks, uuid, log, per_group, groups, log_blocks, sector, label, log2 = (
            _FIELDS.unpack_from(raw)
        )
        groups_needed = -(-blocks // per_group) if per_group else 0
        checks = (
            ("magic", magic == b"XFSB", magic),
            ("block size", _power_of_two(size, 512, 65536), size),
            ("sector size", _power_of_two(sector, 512, 32768), sector),
            ("blocks per group", 0 < per_group <= 1 << min(log2, 31), per_group),
            ("number of groups", groups == groups_needed and groups > 0, groups),
            ("blocks of the log", 0 < log_blocks <= blocks, log_blocks),
        )
        for field, fine, value in checks:
            if not fine:
                raise BadXfs(field, f"{value!r} is not possible")
        group, inside = divmod(log, 1 << log2)
        start = group * per_group + inside
        if inside >= per_group or start + log_blocks > blocks:
            raise BadXfs("first block of the log", f"{log} lies outside")
        return cls(
            uuid=UUID(bytes=uuid),
            label=label.rstrip(b"\0").decode("ascii", "replace"),
            block_size=size,
            sector_size=sector,
            blocks=blocks,
            group_blocks=per_group,
            groups=groups,
            log_start=start,
            log_blocks=log_blocks,
        )

    @property
    def size(self) -> int:
        """Bytes of the file system."""
        return self.blocks * self.block_size

    def log_extent(self) -> tuple[int, int]:
        """First byte and length in bytes of the log."""
        return self.log_start * self.block_size, self.log_blocks * self.block_size

    def group_starts(self) -> range:
        """First byte of every allocation group."""
        step = self.group_blocks * self.block_size
        return range(0, self.groups * step, step)


def _power_of_two(value: int, least: int, most: int) -> bool:
    return least <= value <= most and value & (value - 1) == 0
