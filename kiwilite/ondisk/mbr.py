"""Master boot record: boot code, disk signature and four partition entries, 512 bytes.

    0   440  boot code
    440   4  disk signature (Linux shows it as PTUUID), little-endian
    444   2  zero
    446  64  four entries of 16 bytes
    510   2  0x55 0xAA

Entry:

    0  1  0x80 active, 0x00 not          4  1  type
    1  3  CHS of the first sector        5  3  CHS of the last sector
    8  4  first LBA, little-endian       12 4  number of sectors, little-endian

CHS (255 heads, 63 sectors per track, as every BIOS translates): head, then sector
(bits 0-5) with cylinder bits 8-9 (bits 6-7), then cylinder bits 0-7.

Source: UEFI Specification 2.10, 5.2 "LBA 0 Format" (protective MBR) and the
hybrid layout that sgdisk writes: the 0xEE entry first, so that it covers the GPT.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Final

from kiwilite.errors import KiwiliteError

MBR_SIZE: Final = 512
BOOT_CODE_SIZE: Final = 440

TYPE_GPT_PROTECTIVE: Final = 0xEE
TYPE_ESP: Final = 0xEF
TYPE_LINUX: Final = 0x83
TYPE_FAT32_LBA: Final = 0x0C

_MBR: Final = struct.Struct("<440sIH64s2s")
_ENTRY: Final = struct.Struct("<B3sB3sII")
_MAGIC: Final = b"\x55\xaa"
_HEADS: Final = 255
_TRACK: Final = 63
_MAX_CYLINDER: Final = 1023
_MAX_U32: Final = 0xFFFFFFFF
_CHS_OUT_OF_RANGE: Final = b"\xfe\xff\xff"
# The specification asks for this one in a protective entry whose end CHS cannot reach.
_CHS_OUT_OF_RANGE_PROTECTIVE: Final = b"\xff\xff\xff"


class BadMbr(KiwiliteError):
    """A boot record is not valid; `field` says which part of it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"MBR {field}: {message}")
        self.field = field


class BootIndicator(Enum):
    """First byte of an entry: which partition a BIOS boot record starts."""

    INACTIVE = 0x00
    ACTIVE = 0x80


@dataclass(frozen=True, slots=True)
class MbrEntry:
    """One entry; LBA and length in sectors of the disk. Type 0 is an unused entry."""

    type: int
    first_lba: int
    sectors: int
    boot: BootIndicator = BootIndicator.INACTIVE

    def pack(self) -> bytes:
        """The 16 bytes of this entry, CHS fields computed. Raises BadMbr."""
        for field, value, limit in (
            ("type", self.type, 0xFF),
            ("first LBA", self.first_lba, _MAX_U32),
            ("sectors", self.sectors, _MAX_U32),
        ):
            if not 0 <= value <= limit:
                raise BadMbr(field, f"{value} does not fit")
        if self == UNUSED:
            return bytes(_ENTRY.size)
        return _ENTRY.pack(
            self.boot.value,
            self._chs(self.first_lba),
            self.type,
            self._chs(self.first_lba + max(self.sectors, 1) - 1),
            self.first_lba,
            self.sectors,
        )

    @classmethod
    def unpack(cls, raw: bytes) -> MbrEntry:
        """Read 16 bytes; CHS fields are ignored, LBAs count. Raises BadMbr."""
        if len(raw) != _ENTRY.size:
            raise BadMbr("entry", f"has {len(raw)} bytes, not {_ENTRY.size}")
        boot, _, kind, _, first, sectors = _ENTRY.unpack(raw)
        try:
            return cls(kind, first, sectors, BootIndicator(boot))
        except ValueError as error:
            raise BadMbr("boot indicator", f"is {boot:#04x}, neither 0x00 nor 0x80") from error

    def _chs(self, lba: int) -> bytes:
        cylinder, rest = divmod(lba, _HEADS * _TRACK)
        head, sector = divmod(rest, _TRACK)
        if cylinder > _MAX_CYLINDER:
            if self.type == TYPE_GPT_PROTECTIVE:
                return _CHS_OUT_OF_RANGE_PROTECTIVE
            return _CHS_OUT_OF_RANGE
        return bytes((head, (sector + 1) | cylinder >> 2 & 0xC0, cylinder & 0xFF))


UNUSED: Final = MbrEntry(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Mbr:
    """The whole sector; at most four entries, `boot_code` at most 440 bytes."""

    entries: tuple[MbrEntry, ...]
    disk_signature: int = 0
    boot_code: bytes = b""

    def pack(self) -> bytes:
        """The 512 bytes of LBA 0 (on a 4096-byte disk: its first 512). Raises BadMbr."""
        if len(self.entries) > 4:
            raise BadMbr("entries", f"{len(self.entries)} are given, there is room for 4")
        if not 0 <= self.disk_signature <= _MAX_U32:
            raise BadMbr("disk signature", "does not fit 32 bits")
        if len(self.boot_code) > BOOT_CODE_SIZE:
            raise BadMbr(
                "boot code", f"has {len(self.boot_code)} bytes, there is room for {BOOT_CODE_SIZE}"
            )
        entries = b"".join(entry.pack() for entry in self.entries)
        return _MBR.pack(self.boot_code, self.disk_signature, 0, entries, _MAGIC)

    @classmethod
    def unpack(cls, raw: bytes) -> Mbr:
        """Read 512 bytes or more; unused entries behind the last used one are left out.

        Zeros at the end of the boot code are left out too. Raises BadMbr.
        """
        if len(raw) < MBR_SIZE:
            raise BadMbr("sector", f"has {len(raw)} bytes, not {MBR_SIZE}")
        code, signature, _, table, magic = _MBR.unpack_from(raw)
        if magic != _MAGIC:
            raise BadMbr("magic", "is not 0x55 0xAA")
        entries = [MbrEntry.unpack(table[at : at + 16]) for at in range(0, 64, 16)]
        while entries and entries[-1] == UNUSED:
            entries.pop()
        return cls(tuple(entries), signature, code.rstrip(b"\0"))


def protective(disk_sectors: int, *, boot_code: bytes = b"") -> Mbr:
    """The MBR of a plain GPT disk of `disk_sectors`: one 0xEE entry over all of it."""
    if disk_sectors < 2:
        raise BadMbr("disk", f"{disk_sectors} sectors have no room for a GPT")
    return Mbr(
        (MbrEntry(TYPE_GPT_PROTECTIVE, 1, min(disk_sectors - 1, _MAX_U32)),), boot_code=boot_code
    )


def hybrid(
    partitions: Sequence[MbrEntry], *, disk_signature: int = 0, boot_code: bytes = b""
) -> Mbr:
    """Show one to three partitions of a GPT disk to a BIOS too.

    A 0xEE entry stands first and covers LBA 1 up to the first of `partitions`, so
    that the table itself is nobody's free space. Raises BadMbr if the partitions
    overlap, do not leave that room, or if more than one is active.
    """
    if not 1 <= len(partitions) <= 3:
        raise BadMbr("entries", f"{len(partitions)} partitions given, a hybrid MBR shows 1 to 3")
    if sum(p.boot is BootIndicator.ACTIVE for p in partitions) > 1:
        raise BadMbr("boot indicator", "more than one partition is active")
    in_order = sorted(partitions, key=lambda p: p.first_lba)
    first = in_order[0].first_lba
    if first < 2:
        raise BadMbr("first LBA", f"{first} leaves no room for the GPT")
    for before, after in pairwise(in_order):
        if before.first_lba + before.sectors > after.first_lba:
            raise BadMbr("entries", f"the partition at LBA {after.first_lba} overlaps another")
    if any(p.type in (0, TYPE_GPT_PROTECTIVE) or p.sectors < 1 for p in partitions):
        raise BadMbr("type", "a hybrid entry must show a real partition")
    guard = MbrEntry(TYPE_GPT_PROTECTIVE, 1, first - 1)
    return Mbr((guard, *partitions), disk_signature, boot_code)
