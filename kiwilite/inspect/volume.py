"""LUKS2 volumes from the outside: headers, geometry, journal, and with the key every sector."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from kiwilite.errors import KiwiliteError
from kiwilite.inspect.checked import Checked, Scope, spread
from kiwilite.inspect.findings import Finding, Place, error, note, warning
from kiwilite.inspect.journal import pending as pending_in
from kiwilite.inspect.journal import pending_claims, reader, sources, superseded
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.inspect.verdict import JOURNAL, KEYSLOT, VOLUME
from kiwilite.ondisk import integrity, integrity_journal, payload, sectors
from kiwilite.ondisk.encryption import Encryption, encryption_of_segment
from kiwilite.ondisk.integrity import SECTOR, Geometry
from kiwilite.ondisk.luks2 import tokens
from kiwilite.ondisk.luks2 import volume as luks
from kiwilite.ondisk.luks2.header import BadLuksHeader, Copies, Copy, LuksHeader, read_both
from kiwilite.ondisk.luks2.jsontree import BadMetadata

READY: Final = "kiwilite-ready"
SPARSE: Final = "kiwilite-sparse"
UNFINISHED: Final = "kiwilite-provisioning"
RESETTING: Final = "kiwilite-reset"

_HEADERS: Final = 8 << 20
_BLOCK: Final = 4096
_AREA_SIZE: Final = 16 << 20
_MOST: Final = 50
"""Findings of one kind are not listed further."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a volume before its sectors are looked at; None where it is not."""

    partition: Partition
    header: LuksHeader
    encryption: Encryption | None
    geometry: Geometry | None
    flags: int = 0
    pending: tuple[integrity_journal.Patch, ...] = ()
    """What stands in the journal only, and is read from there."""


class Key(NamedTuple):
    """A key to try: where it is from, and its bytes."""

    origin: str
    passphrase: bytes


def read_headers(disk: Disk, partition: Partition) -> Copies:
    """Both copies of the header."""
    return read_both(disk.read(partition.start, min(partition.size, _HEADERS)))


def check_headers(partition: Partition, copies: Copies) -> Iterator[Finding]:
    """Each on its own, and one against the other."""
    size = copies.best.header_bytes
    for copy, start in ((Copy.PRIMARY, 0), (Copy.SECONDARY, size)):
        found = copies.primary if copy is Copy.PRIMARY else copies.secondary
        if isinstance(found, BadLuksHeader):
            advice = "cryptsetup repair writes it anew from the other copy; keep a backup"
            yield error(partition.place(start, start + size), found.message, advice)
    if isinstance(copies.primary, LuksHeader) and isinstance(copies.secondary, LuksHeader):
        if copies.agree:
            return
        place = partition.place(0, 2 * size)
        yield error(place, "the two LUKS2 headers do not agree", "cryptsetup repair")


def opened(disk: Disk, partition: Partition, header: LuksHeader) -> tuple[Opened, list[Finding]]:
    """The volume's encryption and geometry, and what is wrong with the integrity superblock."""
    bare = Opened(partition, header, None, None)
    segments = header.metadata.segments
    if len(segments) != 1 or not header.metadata.keyslots:
        place = partition.place(0, header.header_bytes)
        return bare, [error(place, f"{len(segments)} segments in the LUKS2 header, not 1")]
    segment = segments[0]
    if segment.integrity is None:
        message = "the volume is encrypted but not authenticated: changes are not noticed"
        return bare, [warning(partition.whole(), message)]
    place = partition.place(segment.offset, segment.offset + integrity.SUPERBLOCK_BYTES)
    try:
        encryption = encryption_of_segment(
            segment.encryption, segment.integrity.type, segment.sector_size,
            header.metadata.keyslots[0].key_size,
        )  # fmt: skip
        raw = disk.read(place.start, integrity.SUPERBLOCK_BYTES)
        superblock = integrity.IntegritySuperblock.unpack(raw)
        shape = integrity.geometry_of(superblock, segment_offset=segment.offset)
        _fits(superblock, shape, encryption, partition)
        whole = integrity.with_provided(shape, partition.size)
    except KiwiliteError as problem:
        return bare, [error(place, problem.message)]
    pending = pending_in(disk, partition, shape, superblock.flags)
    found = Opened(partition, header, encryption, shape, superblock.flags, pending)
    if whole.superblock(flags=superblock.flags).pack() == raw:
        return found, []
    if shape.provided < whole.provided and shape.superblock(flags=superblock.flags).pack() == raw:
        message = "the partition is larger than the volume in it; the next boot grows it"
        return found, [warning(place, message)]
    message = "the dm-integrity superblock is not the one that belongs to this partition"
    return bare, [error(place, message)]


def _fits(
    superblock: integrity.IntegritySuperblock,
    shape: Geometry,
    encryption: Encryption,
    partition: Partition,
) -> None:
    """Raises BadIntegritySuperblock where it does not go with the LUKS2 header."""
    flags = superblock.flags & ~integrity.FLAG_DIRTY_BITMAP
    sector = shape.block_sectors * SECTOR
    for field, is_wrong, message in (
        ("tag size", superblock.tag_bytes != encryption.tag_bytes, f"is {superblock.tag_bytes}"),
        ("sectors per block", sector != encryption.sector_size, f"make {sector} bytes"),
        ("flags", flags != integrity.FLAG_FIXED_PADDING, f"are {superblock.flags:#x}"),
        (
            "provided data sectors",
            shape.data_sector(shape.provided - 1) >= partition.size // SECTOR,
            "are more than fit",
        ),
    ):
        if is_wrong:
            raise integrity.BadIntegritySuperblock(field, message)


def check_state(found: Opened, volume_id: str | None) -> Iterator[Finding]:
    """Label and subsystem: whose volume it is, and how far it got."""
    place = found.partition.place(0, found.header.header_bytes)
    if volume_id is not None and found.header.label != volume_id:
        what = f"the volume's label is {found.header.label!r}, the policy wants {volume_id}"
        yield error(place, what, "it belongs to another image; the boot will refuse it")
    if found.header.subsystem == UNFINISHED:
        yield warning(place, "provisioning was interrupted", "the next boot starts it over")
    elif found.header.subsystem == RESETTING:
        yield warning(place, "a factory reset was asked for", "the next boot completes it")
    elif found.header.subsystem not in (READY, SPARSE):
        yield warning(place, f"the volume's state is {found.header.subsystem!r}, which is unknown")


def unlock(disk: Disk, found: Opened, keys: Iterable[Key]) -> tuple[bytes | None, set[int]]:
    """The volume key, if one of the keys gives it, and the numbers of the keyslots they open.

    Raises UnsupportedLuks.
    """
    read = reader(disk, found.partition)
    volume_key, slots = None, set()
    for key in keys:
        for slot in found.header.metadata.keyslots:
            if opened_ := luks.unlock_keyslot(found.header, slot, read, key.passphrase):
                volume_key = opened_
                slots.add(slot.number)
    return volume_key, slots


class _Area(NamedTuple):
    """Work on one area: with `target` its plain text goes into that file."""

    read: payload.ReadAt
    payload_of: tuple[Geometry, Encryption, bytes]
    number: int
    target: Path | None


def _check_area(job: _Area) -> tuple[payload.Found, ...]:
    shape, encryption, key = job.payload_of
    work = payload.Payload(shape, sectors.sector_cipher(encryption, key))
    if job.target is None:
        return payload.check_area(work, job.number, job.read)
    fd = os.open(job.target, os.O_WRONLY)
    try:
        return payload.decrypt_area(
            work, job.number, job.read, lambda at, data: os.pwrite(fd, data, at)
        )
    finally:
        os.close(fd)


def check_sectors(
    disk: Disk, found: Opened, volume_key: bytes, scope: Scope, target: Path | None
) -> Checked:
    """The tag of every sector; those that a volume with holes never wrote may have none.

    Read as the kernel will after the journal's replay.
    """
    shape, encryption = found.geometry, found.encryption
    assert shape is not None and encryption is not None
    name, base = found.partition.name, found.partition.start
    areas = range(-(-shape.provided // shape.area_sectors))
    size = (shape.area_sectors + shape.tag_run) * SECTOR
    starts = [base + shape.area_start(n) * SECTOR for n in areas]
    wanted = [n for n in areas if scope.touches(starts[n], starts[n] + size)]
    read = integrity_journal.replayed(found.pending, reader(disk, found.partition))
    jobs = [_Area(read, (shape, encryption, volume_key), n, target) for n in wanted]
    answers = spread(_check_area, jobs, len(jobs) * _AREA_SIZE)
    written = _written(found)
    findings: list[Finding] = []
    claims = list(pending_claims(found.partition, found.pending))
    every_hole = list(_outside(payload.Extent(0, shape.provided_bytes), written))
    for number, answer in zip(wanted, answers, strict=True):
        holes = [f.extent for f in answer if f.state == sectors.UNWRITTEN]
        unwritten = list(_within(every_hole, shape, number))
        for one in answer:
            for part in _outside(one.extent, unwritten):
                findings.append(_bad(found, shape, one.state, part))
        unread = [*holes, *unwritten, *superseded(shape, number, found.pending)]
        by = "authenticated encryption"
        claims += _area_claims(found, number, unread, State.CHECKED, by)
    if len(findings) > _MOST:
        more = len(findings) - _MOST
        what = f"{more} more extents of the volume fail their check"
        findings[_MOST:] = [error(Place(name, base, found.partition.end), what)]
    return Checked(tuple(findings), tuple(claims))


def _written(found: Opened) -> list[payload.Extent]:
    """What must have tags, in bytes of the mapped device."""
    assert found.geometry is not None
    try:
        extents = tokens.written_extents(found.header.metadata.tokens)
    except BadMetadata:
        extents = None
    if found.header.subsystem != SPARSE or extents is None:
        return [payload.Extent(0, found.geometry.provided_bytes)]
    return [payload.Extent(first * _BLOCK, count * _BLOCK) for first, count in extents]


def _outside(extent: payload.Extent, holes: Iterable[payload.Extent]) -> Iterator[payload.Extent]:
    """The parts of an extent that are in none of the others, which are in order."""
    start = extent.start
    for hole in holes:
        if hole.end <= start or hole.start >= extent.end:
            continue
        if hole.start > start:
            yield payload.Extent(start, hole.start - start)
        start = max(start, hole.end)
    if start < extent.end:
        yield payload.Extent(start, extent.end - start)


def _bad(found: Opened, shape: Geometry, state: int, extent: payload.Extent) -> Finding:
    first, last = extent.start // SECTOR, (extent.end - 1) // SECTOR
    tags = found.partition.start + shape.tag_byte(first)
    tags_end = found.partition.start + shape.tag_byte(last) + shape.tag_bytes
    place = found.partition.place(
        shape.data_sector(first) * SECTOR, (shape.data_sector(last) + 1) * SECTOR
    )
    what = "were never written" if state == sectors.UNWRITTEN else "do not go with their tags"
    return Finding(
        error(place, "").severity,
        place,
        f"{extent.length} bytes from byte {extent.start} of the volume {what}"
        f" (tags at {tags} to {tags_end})",
        "reading them is an I/O error; a factory reset makes the volume anew",
        also=(
            Place(found.partition.name, tags, tags_end),
            *sources(found.partition, shape, extent, found.pending),
        ),
    )


def _area_claims(
    found: Opened, number: int, unread: list[payload.Extent], state: State, by: str
) -> Iterator[Region]:
    """Data and tags of an area in this state, and as nobody's what lies between them."""
    shape, base, name = found.geometry, found.partition.start, found.partition.name
    assert shape is not None
    first = number * shape.area_sectors
    last = min(first + shape.area_sectors, shape.provided) - 1
    area = payload.Extent(first * SECTOR, (last + 1 - first) * SECTOR)
    used = []
    for extent in _outside(area, sorted(unread)):
        a, b = extent.start // SECTOR, (extent.end - 1) // SECTOR
        used.append((shape.data_sector(a) * SECTOR, (shape.data_sector(b) + 1) * SECTOR))
        used.append((shape.tag_byte(a), shape.tag_byte(b) + shape.tag_bytes))
    rows = sorted(payload.Extent(start, end - start) for start, end in used)
    for row in rows:
        yield Region(base + row.start, base + row.end, state, name, by)
    start = shape.area_start(number) * SECTOR
    whole = payload.Extent(start, (shape.data_sector(last) + 1) * SECTOR - start)
    for free in _outside(whole, rows):
        by = "never written, no tags"
        yield Region(base + free.start, base + free.end, State.UNALLOCATED, name, by)


def closed_claims(found: Opened) -> Iterator[Region]:
    """The areas of a volume whose key is not there: in use, or never written."""
    shape = found.geometry
    if shape is None:
        return
    unwritten = list(_outside(payload.Extent(0, shape.provided_bytes), _written(found)))
    yield from pending_claims(found.partition, found.pending)
    for number in range(-(-shape.provided // shape.area_sectors)):
        unread = [*_within(unwritten, shape, number), *superseded(shape, number, found.pending)]
        yield from _area_claims(found, number, unread, State.UNCHECKED, VOLUME)


def _within(
    extents: Iterable[payload.Extent], shape: Geometry, number: int
) -> Iterator[payload.Extent]:
    """Of extents of the mapped device those that touch an area."""
    start, end = (n * shape.area_sectors * SECTOR for n in (number, number + 1))
    return (extent for extent in extents if extent.start < end and start < extent.end)


def header_claims(found: Opened, used: Iterable[int]) -> Iterator[Region]:
    """What of the volume's front is checked by headers and keyslots that opened."""
    p, metadata = found.partition, found.header.metadata
    yield Region(
        p.start, p.start + 2 * found.header.header_bytes, State.CHECKED, p.name, "checksums"
    )
    front = payload.Extent(2 * found.header.header_bytes, metadata.keyslots_size)
    slots = sorted(
        (payload.Extent(s.area.offset, s.material_bytes), s.number in used)
        for s in metadata.keyslots
    )
    for extent, opens in slots:
        state, by = (State.CHECKED, "opens the volume") if opens else (State.UNCHECKED, KEYSLOT)
        yield Region(p.start + extent.start, p.start + extent.end, state, p.name, by)
    for free in _outside(front, (extent for extent, _ in slots)):
        end = min(p.start + free.end, p.end)
        yield Region(p.start + free.start, end, State.UNALLOCATED, p.name, "no keyslot")
    shape = found.geometry
    if shape is None:
        return
    start = p.start + shape.segment * SECTOR
    journal = start + integrity.SUPERBLOCK_BYTES
    yield Region(start, journal, State.CHECKED, p.name, "dm-integrity geometry")
    behind = p.start + shape.area_start(0) * SECTOR
    yield Region(journal, behind, State.UNCHECKED, p.name, JOURNAL)
    last = p.start + (shape.data_sector(shape.provided - 1) + 1) * SECTOR
    yield Region(last, p.end, State.UNALLOCATED, p.name, "behind the volume")


def no_key(found: Opened) -> Finding:
    """What is left open without a key."""
    return note(
        found.partition.whole(),
        "no key is given: what is in the volume was not checked",
        "--key-file or --passphrase-file",
    )
