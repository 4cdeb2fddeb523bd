"""GUID partition table: the two header and entry areas around a disk's contents.

Source of the format: UEFI Specification 2.10, chapter 5.3 "GUID Partition Table
(GPT) Disk Layout". All integers are little-endian, GUIDs stand in the mixed-endian
form of `UUID.bytes_le`. LBAs count logical sectors of 512 or 4096 bytes, and a
range includes its last LBA.

Header, one sector (LBA 1, and again in the disk's last LBA):

    0   8  signature "EFI PART"          48  8  last usable LBA
    8   4  revision 0x00010000           56 16  disk GUID
    12  4  header size, 92               72  8  first LBA of the entry array
    16  4  CRC32 of the header           80  4  number of entries
    20  4  reserved, zero                84  4  size of one entry, 128
    24  8  LBA of this header            88  4  CRC32 of the entry array
    32  8  LBA of the other header
    40  8  first usable LBA

Entry, 128 bytes:

    0  16  type GUID, zero if unused     40  8  last LBA
    16 16  unique GUID (PARTUUID)        48  8  attributes
    32  8  first LBA                     56 72  name, UTF-16LE, NUL-padded
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import BinaryIO, Final, Literal, NamedTuple, cast
from uuid import UUID

from kiwilite.errors import KiwiliteError

SectorSize = Literal[512, 4096]

BIOS_BOOT: Final = UUID("21686148-6449-6e6f-744e-656564454649")
ESP: Final = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
XBOOTLDR: Final = UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172")
LINUX_FILESYSTEM: Final = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
LINUX_SWAP: Final = UUID("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
LINUX_LVM: Final = UUID("e6d6d379-f507-44c2-a23c-238f2a3df928")
LINUX_RAID: Final = UUID("a19d880f-05fc-4d3b-a006-743f0f84911e")
LINUX_LUKS: Final = UUID("ca7d7ccb-63ed-4c53-861c-1742536059cc")
ROOT_X86_64: Final = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
ROOT_X86_64_VERITY: Final = UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5")
ROOT_X86_64_VERITY_SIG: Final = UUID("41092b05-9fc8-4523-994f-2def0408b176")
ROOT_ARM64: Final = UUID("b921b045-1df0-41c3-af44-4c6f280d3fae")
ROOT_ARM64_VERITY: Final = UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820")
USR_X86_64: Final = UUID("8484680c-9521-48c6-9c11-b0720656f69e")
USR_X86_64_VERITY: Final = UUID("77ff5f63-e7b6-4633-acf4-1565b864c0e6")
HOME: Final = UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915")
SRV: Final = UUID("3b8f8425-20e0-4f3b-907f-1a25a76f98e8")
VAR: Final = UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d")
TMP: Final = UUID("7ec6f557-3bc5-4aca-b293-16ef5df639d1")

ATTR_REQUIRED: Final = 1 << 0
ATTR_LEGACY_BIOS_BOOTABLE: Final = 1 << 2
ATTR_GROW_FILE_SYSTEM: Final = 1 << 59
ATTR_READ_ONLY: Final = 1 << 60
ATTR_NO_AUTO: Final = 1 << 63

_SIGNATURE: Final = b"EFI PART"
_REVISION: Final = 0x00010000
_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_NAME_UNITS: Final = 36
_UNUSED: Final = UUID(int=0)
# 16 KiB is what the specification reserves at least; nobody writes megabytes.
_MAX_ENTRY_AREA: Final = 1 << 20


class BadGpt(KiwiliteError):
    """A partition table is not valid; `field` says which part of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"GPT {field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class GptPartition:
    """One partition: LBAs in sectors of the disk, `last_lba` included.

    `unique_guid` is what Linux calls PARTUUID; `name` has at most 36 UTF-16 units.
    """

    type_guid: UUID
    unique_guid: UUID
    first_lba: int
    last_lba: int
    attributes: int
    name: str

    @property
    def sectors(self) -> int:
        """The partition's length in sectors of the disk."""
        return self.last_lba - self.first_lba + 1


@dataclass(frozen=True, slots=True)
class Gpt:
    """A whole table; `disk_sectors` counts sectors of `sector_size` bytes.

    Partitions take the slots 1, 2, ... in order, leaving out those in `empty_slots`.
    """

    disk_guid: UUID
    partitions: tuple[GptPartition, ...]
    disk_sectors: int
    sector_size: SectorSize = 512
    entry_count: int = 128
    empty_slots: frozenset[int] = frozenset()

    @property
    def entry_sectors(self) -> int:
        """Sectors of one entry array."""
        return -(-self.entry_count * _ENTRY.size // self.sector_size)

    @property
    def first_usable_lba(self) -> int:
        """The first LBA behind the primary entry array."""
        return 2 + self.entry_sectors

    @property
    def last_usable_lba(self) -> int:
        """The last LBA before the backup entry array."""
        return self.disk_sectors - 2 - self.entry_sectors

    def numbered(self) -> Iterator[tuple[int, GptPartition]]:
        """The partitions with their numbers, as in /dev/sda1."""
        number = 0
        for partition in self.partitions:
            number += 1
            while number in self.empty_slots:
                number += 1
            yield number, partition


@dataclass(frozen=True, slots=True)
class GptAreas:
    """What `write` gives: bytes, and the byte offset in the disk where they belong."""

    primary: bytes
    primary_offset: int
    backup: bytes
    backup_offset: int


def write(gpt: Gpt) -> GptAreas:
    """The primary area (header, entries) and the backup area (entries, header).

    Raises BadGpt if the table would not be valid: ranges outside the usable LBAs,
    overlaps, equal unique GUIDs, names that do not fit, too many partitions.
    """
    _check(gpt)
    entries = _pack_entries(gpt)
    last = gpt.disk_sectors - 1
    backup_entries = gpt.last_usable_lba + 1
    return GptAreas(
        primary=_pack_header(gpt, entries, here=1, other=last, entries_lba=2) + entries,
        primary_offset=gpt.sector_size,
        backup=entries + _pack_header(gpt, entries, here=last, other=1, entries_lba=backup_entries),
        backup_offset=backup_entries * gpt.sector_size,
    )


def _pack_entries(gpt: Gpt) -> bytes:
    raw = bytearray(gpt.entry_sectors * gpt.sector_size)
    for number, p in gpt.numbered():
        _ENTRY.pack_into(
            raw,
            (number - 1) * _ENTRY.size,
            p.type_guid.bytes_le,
            p.unique_guid.bytes_le,
            p.first_lba,
            p.last_lba,
            p.attributes,
            p.name.encode("utf-16-le"),
        )
    return bytes(raw)


def _pack_header(gpt: Gpt, entries: bytes, *, here: int, other: int, entries_lba: int) -> bytes:
    entries_crc = zlib.crc32(entries[: gpt.entry_count * _ENTRY.size])

    def header(crc: int) -> bytes:
        return _HEADER.pack(
            _SIGNATURE,
            _REVISION,
            _HEADER.size,
            crc,
            0,
            here,
            other,
            gpt.first_usable_lba,
            gpt.last_usable_lba,
            gpt.disk_guid.bytes_le,
            entries_lba,
            gpt.entry_count,
            _ENTRY.size,
            entries_crc,
        )

    return header(zlib.crc32(header(0))).ljust(gpt.sector_size, b"\0")


class _Header(NamedTuple):
    """The header's fields in on-disk order."""

    signature: bytes
    revision: int
    size: int
    crc: int
    reserved: int
    here: int
    other: int
    first_usable: int
    last_usable: int
    disk_guid: bytes
    entries_lba: int
    entry_count: int
    entry_size: int
    entries_crc: int


def read(disk: BinaryIO) -> Gpt:
    """Read and check both headers and both entry arrays of a seekable `disk`.

    The sector size is found by where the primary header stands. Raises BadGpt if
    anything is wrong or if the two copies differ; never repairs.
    """
    disk_bytes = disk.seek(0, 2)
    sector_size = _find_sector_size(disk)
    last = disk_bytes // sector_size - 1
    primary = _read_header(disk, sector_size, 1, "primary")
    if primary.other != last:
        raise BadGpt(
            "primary header, other LBA", f"is {primary.other}, the disk's last LBA is {last}"
        )
    backup = _read_header(disk, sector_size, last, "backup")
    if backup.other != 1:
        raise BadGpt("backup header, other LBA", f"is {backup.other}, not 1")
    for field in ("first_usable", "last_usable", "disk_guid", "entry_count", "entry_size"):
        if getattr(primary, field) != getattr(backup, field):
            raise BadGpt(f"backup header, {field}", "differs from the primary header")
    entries = _read_entries(disk, sector_size, primary, "primary")
    if entries != _read_entries(disk, sector_size, backup, "backup"):
        raise BadGpt("backup entries", "differ from the primary entries")
    _check_entries_outside_usable(primary, backup, -(-len(entries) // sector_size), last)
    slots = [_unpack_entry(entries, n, primary) for n in range(1, primary.entry_count + 1)]
    used = [n for n, p in enumerate(slots, 1) if p is not None]
    gpt = Gpt(
        disk_guid=UUID(bytes_le=primary.disk_guid),
        partitions=tuple(p for p in slots if p is not None),
        disk_sectors=last + 1,
        sector_size=sector_size,
        entry_count=primary.entry_count,
        empty_slots=frozenset(range(1, max(used, default=0))) - frozenset(used),
    )
    _check(gpt, usable=(primary.first_usable, primary.last_usable))
    return gpt


def _find_sector_size(disk: BinaryIO) -> SectorSize:
    sizes: tuple[SectorSize, ...] = (512, 4096)
    for size in sizes:
        if _read_at(disk, size, len(_SIGNATURE)) == _SIGNATURE:
            return size
    raise BadGpt("signature", "no primary header at byte 512 or 4096")


def _read_at(disk: BinaryIO, offset: int, size: int) -> bytes:
    disk.seek(offset)
    return disk.read(size)


def _read_header(disk: BinaryIO, sector_size: int, lba: int, which: str) -> _Header:
    raw = _read_at(disk, lba * sector_size, sector_size) if lba > 0 else b""
    if len(raw) < sector_size:
        raise BadGpt(f"{which} header", "the disk ends before it")
    h = _Header._make(_HEADER.unpack_from(raw))
    wrong = {
        "signature": h.signature != _SIGNATURE,
        "revision": h.revision != _REVISION,
        "size": not _HEADER.size <= h.size <= sector_size,
        "reserved": h.reserved != 0,
        "own LBA": h.here != lba,
        "entry size": h.entry_size < _ENTRY.size or h.entry_size % 8 != 0,
        "entry count": not 0 < h.entry_count * h.entry_size <= _MAX_ENTRY_AREA,
    }
    for field, is_wrong in wrong.items():
        if is_wrong:
            raise BadGpt(f"{which} header, {field}", "has an impossible value")
    crc = zlib.crc32(raw[:16] + bytes(4) + raw[20 : h.size])
    if crc != h.crc:
        raise BadGpt(f"{which} header, CRC32", f"is {h.crc:#010x}, computed {crc:#010x}")
    return h


def _read_entries(disk: BinaryIO, sector_size: int, header: _Header, which: str) -> bytes:
    size = header.entry_count * header.entry_size
    # A seek beyond what the C library takes is an OverflowError or OSError, not short data.
    if header.entries_lba > disk.seek(0, 2) // sector_size:
        raise BadGpt(f"{which} header, entries LBA", "lies behind the disk's end")
    raw = _read_at(disk, header.entries_lba * sector_size, size)
    if len(raw) < size:
        raise BadGpt(f"{which} entries", "the disk ends before them")
    crc = zlib.crc32(raw)
    if crc != header.entries_crc:
        raise BadGpt(
            f"{which} entries, CRC32", f"is {header.entries_crc:#010x}, computed {crc:#010x}"
        )
    return raw


def _check_entries_outside_usable(
    primary: _Header, backup: _Header, sectors: int, last: int
) -> None:
    if not 2 <= primary.entries_lba <= primary.first_usable - sectors:
        raise BadGpt("primary header, entries LBA", "the entries reach into the usable LBAs")
    if not primary.last_usable < backup.entries_lba <= last - sectors:
        raise BadGpt("backup header, entries LBA", "the entries reach into the usable LBAs")


def _unpack_entry(entries: bytes, number: int, header: _Header) -> GptPartition | None:
    fields = _ENTRY.unpack_from(entries, (number - 1) * header.entry_size)
    type_guid = UUID(bytes_le=fields[0])
    if type_guid == _UNUSED:
        return None
    try:
        name = cast("bytes", fields[5]).decode("utf-16-le").partition("\0")[0]
    except UnicodeDecodeError as error:
        raise BadGpt(f"partition {number}, name", "is not UTF-16") from error
    return GptPartition(
        type_guid=type_guid,
        unique_guid=UUID(bytes_le=fields[1]),
        first_lba=fields[2],
        last_lba=fields[3],
        attributes=fields[4],
        name=name,
    )


def _check(gpt: Gpt, usable: tuple[int, int] | None = None) -> None:
    """The rules for a valid table; `usable` is the header's own range when reading."""
    first, last = usable or (gpt.first_usable_lba, gpt.last_usable_lba)
    if first < gpt.first_usable_lba or last > gpt.last_usable_lba or first > last + 1:
        raise BadGpt("usable LBAs", f"{first} to {last} do not fit {gpt.disk_sectors} sectors")
    if not 0 < gpt.entry_count * _ENTRY.size <= _MAX_ENTRY_AREA:
        raise BadGpt("entry count", f"{gpt.entry_count} is not possible")
    by_guid: dict[UUID, int] = {}
    for number, p in gpt.numbered():
        where = f"partition {number}"
        if number > gpt.entry_count:
            raise BadGpt(where, f"the table has {gpt.entry_count} entries only")
        _check_partition(where, p, first, last)
        other = by_guid.setdefault(p.unique_guid, number)
        if other != number:
            raise BadGpt(f"{where}, unique GUID", f"is that of partition {other} too")
    in_order = sorted(gpt.numbered(), key=lambda item: item[1].first_lba)
    for (a, before), (b, after) in pairwise(in_order):
        if after.first_lba <= before.last_lba:
            raise BadGpt(f"partition {b}, first LBA", f"overlaps partition {a}")


def _check_partition(where: str, p: GptPartition, first: int, last: int) -> None:
    if p.type_guid == _UNUSED:
        raise BadGpt(f"{where}, type GUID", "zero means an unused entry")
    if not first <= p.first_lba <= p.last_lba <= last:
        raise BadGpt(
            f"{where}, LBAs", f"{p.first_lba} to {p.last_lba} are not within {first} to {last}"
        )
    if not 0 <= p.attributes < 1 << 64:
        raise BadGpt(f"{where}, attributes", "do not fit 64 bits")
    try:
        units = len(p.name.encode("utf-16-le")) // 2
    except UnicodeEncodeError as error:
        raise BadGpt(f"{where}, name", "cannot be written as UTF-16") from error
    if units > _NAME_UNITS or "\0" in p.name:
        raise BadGpt(f"{where}, name", f"has NUL or more than {_NAME_UNITS} UTF-16 units")
