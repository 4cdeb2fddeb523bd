"""The partition table: both GPTs each on its own, one against the other, and the MBR against them.

`kiwilite.ondisk.gpt` reads a sound table or says no; here the question is which bytes of
which copy are wrong, and what the table says nevertheless. Field offsets stand there.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, cast
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.inspect.findings import Finding, Place, error, warning
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import Disk
from kiwilite.ondisk import gpt

PRIMARY: Final = "primary GPT"
BACKUP: Final = "backup GPT"
RESTORE: Final = "restore it from the other copy (sgdisk --backup, --load-backup; gdisk's r menu)"

_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_SIGNATURE: Final = b"EFI PART"
_REVISION: Final = 0x00010000
_LEAST_ENTRY: Final = 128
_MOST_BYTES: Final = 1 << 20


class NoTable(KiwiliteError):
    """There is no GPT that could be read, so nothing else can be found."""


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition in bytes of the disk; `end` is the first byte behind it."""

    number: int
    name: str
    start: int
    end: int
    type_guid: UUID
    guid: UUID
    attributes: int

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.end - self.start

    def place(self, start: int, end: int) -> Place:
        """Bytes of the partition, counted from its start, as a place on the disk."""
        return Place(self.name, self.start + start, self.start + end)

    def whole(self) -> Place:
        """All of it."""
        return Place(self.name, self.start, self.end)


@dataclass(frozen=True, slots=True)
class Table:
    """What the table says; `areas` are the bytes that it takes itself."""

    gpt: gpt.Gpt
    partitions: tuple[Partition, ...]
    areas: tuple[Place, ...]

    @property
    def sector(self) -> int:
        """Bytes of a sector of this disk."""
        return self.gpt.sector_size

    def named(self, name: str) -> Partition | None:
        """The first partition of that name."""
        return next((p for p in self.partitions if p.name == name), None)

    def by_guid(self, guid: UUID) -> Partition | None:
        """The partition with that unique GUID."""
        return next((p for p in self.partitions if p.guid == guid), None)


@dataclass(slots=True)
class _Copy:
    """One of the two copies as it was found."""

    name: str
    lba: int
    sector: int
    raw: bytes
    fields: tuple[int | bytes, ...] = ()
    entries: bytes = b""
    entries_start: int = 0
    findings: list[Finding] = field(default_factory=list)
    is_sound: bool = False

    @property
    def start(self) -> int:
        return self.lba * self.sector

    def number(self, index: int) -> int:
        return cast(int, self.fields[index])


def read_table(disk: Disk) -> tuple[Table, list[Finding], list[Region]]:
    """The table, what is wrong with it, and the bytes these checks answer for.

    Raises NoTable where neither copy can be read.
    """
    sector = _sector_size(disk)
    last = disk.size // sector - 1
    primary = _read_copy(disk, PRIMARY, 1, sector)
    # On a disk that was made larger the backup stands where the primary header says.
    moved = primary.is_sound and 1 < primary.number(6) < last
    backup = _read_copy(disk, BACKUP, primary.number(6) if moved else last, sector)
    findings = [*primary.findings, *backup.findings]
    sound = next((c for c in (primary, backup) if c.is_sound), None)
    if sound is None:
        raise NoTable(
            "neither copy of the GPT is sound: "
            + "; ".join(f.what for f in findings if f.severity.value == "error")
        )
    if moved:
        findings.append(
            warning(
                Place(PRIMARY, sector + 32, sector + 40),
                "the disk is larger than its partition table knows",
                "kiwilite image resize, or its first boot, moves the backup table to the end",
            )
        )
    findings += _compared(primary, backup)
    table = _table(disk, sound, backup.lba + 1)
    findings += [_against(disk, table, c) for c in (primary, backup) if not c.is_sound]
    claims = [Region(a.start, a.end, State.CHECKED, a.part, "CRC32") for a in table.areas]
    return table, findings, claims


def _sector_size(disk: Disk) -> int:
    for size in (512, 4096):
        if disk.read(size, 8) == _SIGNATURE:
            return size
    for size in (512, 4096):
        if disk.read(disk.size - size, 8) == _SIGNATURE and disk.size % size == 0:
            return size
    raise NoTable("no GPT: neither header is where it should be")


def _read_copy(disk: Disk, name: str, lba: int, sector: int) -> _Copy:
    copy = _Copy(name, lba, sector, disk.read(lba * sector, sector))
    start = copy.start
    if len(copy.raw) < sector or copy.raw[:8] != _SIGNATURE:
        copy.findings.append(error(Place(name, start, start + 8), "no GPT header here", RESTORE))
        return copy
    copy.fields = _HEADER.unpack_from(copy.raw)
    _, revision, size, crc, reserved, here = copy.fields[:6]
    count, length, entries_crc = (copy.number(i) for i in (11, 12, 13))
    fine = revision == _REVISION and size == _HEADER.size and reserved == 0 and here == lba
    if not fine or zlib.crc32(copy.raw[:16] + bytes(4) + copy.raw[20 : _HEADER.size]) != crc:
        where = Place(name, start, start + _HEADER.size)
        copy.findings.append(error(where, "the header does not have its CRC32", RESTORE))
        return copy
    if copy.raw[_HEADER.size :].count(0) != sector - _HEADER.size:
        where = Place(name, start + _HEADER.size, start + sector)
        copy.findings.append(warning(where, "the rest of the header's sector is not zero"))
    if length != _LEAST_ENTRY or not 0 < count * length <= _MOST_BYTES:
        where = Place(name, start + 80, start + 88)
        copy.findings.append(error(where, f"{count} entries of {length} bytes"))
        return copy
    copy.entries_start = copy.number(10) * sector
    copy.entries = disk.read(copy.entries_start, count * length)
    where = Place(name, copy.entries_start, copy.entries_start + count * length)
    if zlib.crc32(copy.entries) != entries_crc:
        copy.findings.append(error(where, "the entries do not have their CRC32", RESTORE))
        return copy
    copy.is_sound = True
    return copy


def _compared(primary: _Copy, backup: _Copy) -> Iterator[Finding]:
    """Where two sound copies say different things."""
    if not (primary.is_sound and backup.is_sound):
        return
    names = {7: "first usable LBA", 8: "last usable LBA", 9: "disk GUID", 11: "number of entries"}
    for index, name in names.items():
        if primary.fields[index] != backup.fields[index]:
            where = Place(BACKUP, backup.start, backup.start + _HEADER.size)
            yield error(where, f"the {name} is not that of the primary header", RESTORE)
    if primary.number(6) != backup.lba or backup.number(6) != primary.lba:
        where = Place(BACKUP, backup.start + 24, backup.start + 40)
        yield error(where, "the two headers do not name each other", RESTORE)
    if primary.entries != backup.entries:
        at = next(
            i for i, b in enumerate(primary.entries) if backup.entries[i : i + 1] != bytes([b])
        )
        where = Place(BACKUP, backup.entries_start + at, backup.entries_start + at + 1)
        yield error(where, "the entries are not those of the primary table", RESTORE)


def _against(disk: Disk, table: Table, copy: _Copy) -> Finding:
    """The bytes of a damaged copy that are not what the sound one makes of them."""
    areas = gpt.write(table.gpt)
    offset, wanted = (
        (areas.primary_offset, areas.primary)
        if copy.name == PRIMARY
        else (areas.backup_offset, areas.backup)
    )
    found = disk.read(offset, len(wanted))
    wrong = [i for i, byte in enumerate(found) if byte != wanted[i]]
    first, behind = (offset + wrong[0], offset + wrong[-1] + 1) if wrong else (offset, offset)
    message = f"{len(wrong)} bytes are not what the other copy of the table says"
    return error(Place(copy.name, first, behind), message, RESTORE)


class _Patched(io.RawIOBase):
    """The disk with one copy of the table made from the other, for `gpt.read`."""

    def __init__(self, disk: Disk, size: int, patches: dict[int, bytes]) -> None:
        self._disk, self._size, self._patches, self._at = disk, size, patches, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else self._size + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = bytearray(self._disk.read(self._at, min(size, self._size - self._at)))
        for start, patch in self._patches.items():
            low, high = max(start, self._at), min(start + len(patch), self._at + len(data))
            if low < high:
                data[low - self._at : high - self._at] = patch[low - start : high - start]
        self._at += len(data)
        return bytes(data)


def _table(disk: Disk, sound: _Copy, sectors: int) -> Table:
    """Read the table from its sound copy, all rules checked."""
    sector = sound.sector
    entry_sectors = -(-len(sound.entries) // sector)
    last = sectors - 1
    other_lba = last if sound.lba == 1 else 1
    other_entries = last - entry_sectors if sound.lba == 1 else 2
    fields = list(sound.fields)
    fields[3], fields[5], fields[6], fields[10] = 0, other_lba, sound.lba, other_entries
    fields[3] = zlib.crc32(_HEADER.pack(*fields))
    patches = {
        other_lba * sector: _HEADER.pack(*fields).ljust(sector, b"\0"),
        other_entries * sector: sound.entries.ljust(entry_sectors * sector, b"\0"),
    }
    try:
        found = gpt.read(cast(io.BufferedReader, _Patched(disk, sectors * sector, patches)))
    except gpt.BadGpt as problem:
        raise NoTable(problem.message) from problem
    partitions = tuple(
        Partition(
            number=number,
            name=p.name or f"#{number}",
            start=p.first_lba * sector,
            end=(p.last_lba + 1) * sector,
            type_guid=p.type_guid,
            guid=p.unique_guid,
            attributes=p.attributes,
        )
        for number, p in found.numbered()
    )
    names: dict[Literal[1, 2], str] = {1: PRIMARY, 2: BACKUP}
    areas = (
        Place(names[1], sector, (2 + entry_sectors) * sector),
        Place(names[2], (last - entry_sectors) * sector, (last + 1) * sector),
    )
    return Table(found, tuple(sorted(partitions, key=lambda p: p.start)), areas)
