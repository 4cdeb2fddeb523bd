"""Sections of dm-integrity's journal as the kernel writes them."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from kiwilite.ondisk.integrity import SECTOR, SUPERBLOCK_BYTES, Geometry, fresh_section


def section_start(place: Geometry, section: int) -> int:
    """First byte of a section, counted from the partition's start."""
    start = place.segment * SECTOR + SUPERBLOCK_BYTES
    return start + section * place.section_sectors * SECTOR


def committed(
    place: Geometry, section: int, round_: int, entries: Mapping[int, tuple[bytes, bytes]]
) -> bytes:
    """A section of a round (0 to 3), with blocks and tags by logical sector."""
    raw = bytearray(fresh_section(place, section))
    for number, (sector, (block, tag)) in enumerate(entries.items()):
        at = number % 8 * SECTOR + number // 8 * place.entry_bytes
        lasts = b"".join(
            block[n * SECTOR + 504 : (n + 1) * SECTOR] for n in range(place.block_sectors)
        )
        row = struct.pack("<Q", sector) + lasts + tag
        raw[at : at + len(row)] = row
        start = (8 + number * place.block_sectors) * SECTOR
        raw[start : start + len(block)] = block
    for number in range(place.section_sectors):
        end = (number + 1) * SECTOR
        value = 0x1111111111111111 * (round_ + 1) ^ section << 32 ^ number
        raw[end - 8 : end] = struct.pack("<Q", value)
    return bytes(raw)
