"""dm-integrity's journal of a volume: is it sound, and what would the kernel still replay?"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

from kiwilite.inspect.findings import Finding, Place, error, note
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import integrity_journal
from kiwilite.ondisk.integrity import (
    FLAG_DIRTY_BITMAP,
    SECTOR,
    SUPERBLOCK_BYTES,
    Geometry,
)
from kiwilite.ondisk.integrity_journal import Patch
from kiwilite.ondisk.payload import Extent, ReadAt

_COMMITS: Final = tuple(0x1111111111111111 * n for n in (1, 2, 3, 4))


def reader(disk: Disk, partition: Partition) -> ReadAt:
    """Bytes of a partition, as many as asked for: zeros stand for those of a cut image."""

    def read(offset: int, length: int) -> bytes:
        return disk.read(partition.start + offset, length).ljust(length, b"\0")

    return read


def pending(disk: Disk, partition: Partition, shape: Geometry, flags: int) -> tuple[Patch, ...]:
    """What the next opening puts into place; `flags` are the superblock's.

    With a dirty bitmap the journal's place holds that instead, and nothing is pending.
    """
    if flags & FLAG_DIRTY_BITMAP:
        return ()
    return integrity_journal.pending(shape, reader(disk, partition))


def check_journal(
    disk: Disk, partition: Partition, shape: Geometry, flags: int
) -> Iterator[Finding]:
    """Every sector of the journal ends in a commit id for its place; no more is known of it."""
    if flags & FLAG_DIRTY_BITMAP:
        return
    start = partition.start + shape.segment * SECTOR + SUPERBLOCK_BYTES
    size = shape.section_sectors * SECTOR
    for section in range(shape.journal_sections):
        raw = disk.read(start + section * size, size)
        for number in range(shape.section_sectors):
            end = (number + 1) * SECTOR
            stored = int.from_bytes(raw[end - 8 : end], "little") ^ section << 32 ^ number
            if stored not in _COMMITS:
                at = start + section * size + end
                place = Place(partition.name, at - SECTOR, at)
                yield error(place, "a sector of the integrity journal has no valid commit id")


def tell_pending(partition: Partition, shape: Geometry, patches: tuple[Patch, ...]) -> Finding:
    """That there are some: the volume was not closed, and is read as the kernel will read it."""
    start = shape.segment * SECTOR + SUPERBLOCK_BYTES
    count = sum(patch.source is not None for patch in patches)
    return note(
        partition.place(start, start + shape.journal_bytes),
        f"the integrity journal has {count} block{'s' if count > 1 else ''} pending:"
        " the volume was in use when its machine went off",
        "the next opening puts them into place; they are read from the journal here",
    )


class _Block(NamedTuple):
    """`length` bytes that belong at `start` of the partition, and stand at `source`."""

    start: int
    source: int
    length: int


def _blocks(patches: tuple[Patch, ...], start: int, end: int) -> list[_Block]:
    """Those that belong at bytes `start` up to `end`."""
    first = bisect_left(patches, start, key=lambda patch: patch.start)
    last = bisect_left(patches, end, key=lambda patch: patch.start)
    return [
        _Block(patch.start, patch.source, patch.length)
        for patch in patches[first:last]
        if patch.source is not None
    ]


def superseded(shape: Geometry, area: int, patches: tuple[Patch, ...]) -> list[Extent]:
    """Extents of the mapped device, in area number `area`, whose bytes in place nobody reads."""
    length = shape.area_sectors * SECTOR
    start = (shape.area_start(area) + shape.tag_run) * SECTOR
    return [
        Extent(area * length + block.start - start, block.length)
        for block in _blocks(patches, start, start + length)
    ]


def sources(
    partition: Partition, shape: Geometry, extent: Extent, patches: tuple[Patch, ...]
) -> tuple[Place, ...]:
    """Where blocks of an extent of the mapped device, within one area, stand in the journal."""
    start = shape.data_sector(extent.start // SECTOR) * SECTOR
    return tuple(
        partition.place(block.source, block.source + block.length)
        for block in _blocks(patches, start, start + extent.length)
    )


def pending_claims(partition: Partition, patches: tuple[Patch, ...]) -> Iterator[Region]:
    """The journal's copies are checked with the sectors; what they replace is not read."""
    base, name = partition.start, partition.name
    for patch in patches:
        start, end = base + patch.start, base + patch.start + patch.length
        yield Region(start, end, State.UNALLOCATED, name, "the journal replaces it")
        if patch.source is not None:
            start, end = base + patch.source, base + patch.source + patch.length
            by = "authenticated encryption, in the journal"
            yield Region(start, end, State.CHECKED, name, by)
