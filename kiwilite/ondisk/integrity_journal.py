"""What dm-integrity's journal holds that the kernel will put into place at the next opening.

A block and its tag cannot be written in one step, so both go to the journal first. After
power was lost, or a machine was killed, a block may be torn where it belongs and whole in
the journal only. Who reads a volume from the outside has to look there first, as the
kernel does, or sees damage where there is none.

A section has 8 sectors of entries, then the data of each entry. Entry n stands in sector
n mod 8, as number n div 8 of that sector:

    0   8  logical sector, little-endian; upper half ffffffff: no entry
    8   8  for each sector of the block: its last 8 bytes
           the tag

The last 8 bytes of every sector are its commit id: one of four constants (0x1111...,
0x2222..., 0x3333..., 0x4444...) xor section << 32 xor sector. The constants follow each
other round by round, so that the sections of the last round can be told from older ones;
of a section in which they differ, nothing is taken.

Source: Documentation/admin-guide/device-mapper/dm-integrity.rst of Linux, and journals
that kernel 6.12 left behind.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from kiwilite.ondisk.integrity import SECTOR, SUPERBLOCK_BYTES, Geometry
from kiwilite.ondisk.payload import ReadAt

COMMIT_BYTES: Final = 8
ENTRY_SECTORS: Final = 8
_ROUNDS: Final = tuple(0x1111111111111111 * n for n in (1, 2, 3, 4))
_NO_ENTRY: Final = 0xFFFFFFFE
"""The upper half of an entry's sector from which on there is none, or not yet."""


@dataclass(frozen=True, slots=True, order=True)
class Patch:
    """`length` bytes of the partition that are to be replaced.

    Either by `data`, or by what stands at byte `source`, where the last 8 bytes of each
    sector are those of `data`.
    """

    start: int
    length: int
    source: int | None
    data: bytes

    def content(self, read: ReadAt) -> bytes:
        """The bytes that belong there."""
        if self.source is None:
            return self.data
        block = bytearray(read(self.source, self.length))
        for number in range(self.length // SECTOR):
            end = (number + 1) * SECTOR
            block[end - COMMIT_BYTES : end] = self.data[number * 8 : number * 8 + 8]
        return bytes(block)


def pending(place: Geometry, read: ReadAt) -> tuple[Patch, ...]:
    """What the kernel would write into place, ordered by where; empty for a fresh journal.

    `read` gives bytes of the partition. Holds a few MB for a journal of 64 MiB.
    """
    latest: dict[int, tuple[Patch, Patch]] = {}
    for section in _sections(place, read):
        for sector, patches in _entries(place, section, read):
            latest[sector] = patches
    return tuple(sorted(chain.from_iterable(latest.values())))


def replayed(patches: tuple[Patch, ...], read: ReadAt) -> ReadAt:
    """`read`, with the patches in place; they must not overlap."""
    starts = [patch.start for patch in patches]
    longest = max((patch.length for patch in patches), default=0)

    def read_patched(offset: int, length: int) -> bytes:
        first = bisect_left(starts, offset - longest)
        last = bisect_left(starts, offset + length)
        data = read(offset, length)
        if first == last:
            return data
        patched, end = bytearray(data), offset + len(data)
        for patch in patches[first:last]:
            low, high = max(patch.start, offset), min(patch.start + patch.length, end)
            if low < high:
                content = patch.content(read)[low - patch.start : high - patch.start]
                patched[low - offset : high - offset] = content
        return bytes(patched)

    return read_patched


def _section_start(place: Geometry, section: int) -> int:
    """First byte of a journal section."""
    start = place.segment * SECTOR + SUPERBLOCK_BYTES
    return start + section * place.section_sectors * SECTOR


def _round_of(place: Geometry, section: int, read: ReadAt) -> tuple[set[int], bool]:
    """Numbers of the rounds the section's sectors are of (-1: none of them), and if it is empty."""
    raw = read(_section_start(place, section), place.section_sectors * SECTOR)
    rounds = set()
    for sector in range(place.section_sectors):
        (commit,) = struct.unpack_from("<Q", raw, (sector + 1) * SECTOR - COMMIT_BYTES)
        plain = commit ^ section << 32 ^ sector
        rounds.add(_ROUNDS.index(plain) if plain in _ROUNDS else -1)
    heads = (_entry_at(place, n) for n in range(place.section_entries))
    empty = all(struct.unpack_from("<I", raw, at + 4)[0] >= _NO_ENTRY for at in heads)
    return rounds, empty


def _entry_at(place: Geometry, number: int) -> int:
    """Byte in a section at which entry `number` stands."""
    return number % ENTRY_SECTORS * SECTOR + number // ENTRY_SECTORS * place.entry_bytes


def _sections(place: Geometry, read: ReadAt) -> Iterator[int]:
    """The sections that are to be replayed, oldest first."""
    found = [_round_of(place, n, read) for n in range(place.journal_sections)]
    used = set().union(*(rounds for rounds, _ in found))
    if -1 in used or len(used) == len(_ROUNDS) or all(empty for _, empty in found):
        return
    unused = _first_unused(used)
    newest = (unused - 1) % 4
    wanted = (newest - 1) % 4
    if wanted not in used and (wanted - 1) % 4 in used:
        return
    start = max(n for n, (rounds, _) in enumerate(found) if newest in rounds) + 1
    if start == place.journal_sections:
        start, wanted = 0, newest
    for step in range(place.journal_sections):
        section = (start + step) % place.journal_sections
        if step and section == 0:
            wanted = (wanted + 1) % 4
        if found[section][0] != {wanted}:
            return
        yield section


def _first_unused(used: set[int]) -> int:
    """The round after the newest: rounds are numbered in a circle, and one is always free."""
    if 3 in used:
        return next(n for n in range(4) if n not in used)
    return max(used) + 1


def _entries(
    place: Geometry, section: int, read: ReadAt
) -> Iterator[tuple[int, tuple[Patch, Patch]]]:
    """Logical sector, and the patches of its block's data and tag, for each entry of a section."""
    start = _section_start(place, section)
    raw = read(start, ENTRY_SECTORS * SECTOR)
    block = place.block_sectors
    for number in range(place.section_entries):
        at = _entry_at(place, number)
        (sector,) = struct.unpack_from("<Q", raw, at)
        if sector >> 32 >= _NO_ENTRY or sector % block or sector >= place.provided:
            continue
        tag = at + 8 + 8 * block
        data = Patch(
            place.data_sector(sector) * SECTOR,
            block * SECTOR,
            start + (ENTRY_SECTORS + number * block) * SECTOR,
            raw[at + 8 : tag],
        )
        width = place.tag_bytes
        yield sector, (data, Patch(place.tag_byte(sector), width, None, raw[tag : tag + width]))
