"""dm-integrity: superblock, where data and tags stand, and a journal as a format leaves it.

On a LUKS2 partition, all in sectors of 512 bytes, S the start of the LUKS2 segment:

    S            superblock, 8 sectors
    S + 8        journal: sections of entries and data
    S + initial  areas, one behind the other: a run of tags, then 2^interleave data sectors

Superblock (4096 bytes, little-endian):

     0   8  signature "integrt\\0"            24   4  flags
     8   1  version, 4                        28   1  log2 of sectors per block (0 or 3)
     9   1  log2 of interleave sectors, 15    29   1  log2 of blocks per bitmap bit
    10   2  tag size, bytes                   32   8  recalculated up to this sector
    12   4  journal sections                  48  16  salt (of an internal hash; zero here)
    16   8  provided data sectors             64      zero up to 4096

It has no checksum: where dm-crypt does the authentication, a wrong superblock shows as
sectors that fail it. The kernel computes the provided sectors anew from the device's
size; dm-crypt takes them from the superblock, so both must agree.

Source: Documentation/admin-guide/device-mapper/dm-integrity.rst of Linux and cryptsetup's
description of its integrity devices; compared with devices made by kernels 6.1 and 6.12.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.encryption import Encryption

SECTOR: Final = 512
SUPERBLOCK_BYTES: Final = 4096
SUPERBLOCK_SECTORS: Final = 8
SEGMENT_OFFSET: Final = 16 << 20
"""Bytes from the partition's start to the superblock: where LUKS2 segments begin."""

FLAG_RECALCULATING: Final = 2
FLAG_DIRTY_BITMAP: Final = 4
FLAG_FIXED_PADDING: Final = 8

_SUPERBLOCK: Final = struct.Struct("<8sBBHIQIBB2xQ8x16s")
_SIGNATURE: Final = b"integrt\0"
_VERSIONS: Final = range(4, 7)
_INTERLEAVE: Final = 15
_COMMIT_MAGIC: Final = 0x1111111111111111
_UNUSED_ENTRY: Final = bytes.fromhex("00000000ffffffff")
_ENTRY_SECTORS: Final = 8
"""Sectors of entries at the start of a journal section."""
_ENTRY_BYTES: Final = 504
"""Bytes of a sector of entries that hold some: the last 8 are its commit id."""
_MOST_JOURNAL_SECTORS: Final = 131072


class BadIntegritySuperblock(KiwiliteError):
    """A dm-integrity superblock is not valid; `field` says where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"dm-integrity superblock, {field}: {message}")
        self.field = field


class TooSmallForIntegrity(KiwiliteError):
    """The device has no room for a superblock, a journal and one area with data."""


@dataclass(frozen=True, slots=True)
class IntegritySuperblock:
    """What the superblock says; sectors have 512 bytes."""

    tag_bytes: int
    journal_sections: int
    provided_sectors: int
    log2_block_sectors: int
    log2_bitmap_blocks: int
    flags: int = FLAG_FIXED_PADDING
    log2_interleave: int = _INTERLEAVE
    version: int = 4
    recalculated: int = 0
    salt: bytes = bytes(16)

    def pack(self) -> bytes:
        """The 4096 bytes at the start of the segment."""
        return _SUPERBLOCK.pack(
            _SIGNATURE,
            self.version,
            self.log2_interleave,
            self.tag_bytes,
            self.journal_sections,
            self.provided_sectors,
            self.flags,
            self.log2_block_sectors,
            self.log2_bitmap_blocks,
            self.recalculated,
            self.salt,
        ).ljust(SUPERBLOCK_BYTES, b"\0")

    @classmethod
    def unpack(cls, raw: bytes) -> IntegritySuperblock:
        """Read it; BadIntegritySuperblock names the field that cannot be right."""
        if len(raw) < SUPERBLOCK_BYTES:
            raise BadIntegritySuperblock("length", f"{len(raw)} bytes are too few")
        (
            signature,
            version,
            interleave,
            tag,
            sections,
            provided,
            flags,
            block,
            bits,
            done,
            salt,
        ) = _SUPERBLOCK.unpack_from(raw)
        checks = (
            ("signature", signature == _SIGNATURE, signature),
            ("version", version in _VERSIONS, version),
            ("interleave", 3 <= interleave <= 31, interleave),
            ("tag size", 0 < tag <= 256, tag),
            ("journal sections", sections > 0, sections),
            ("provided data sectors", provided > 0, provided),
            ("flags", flags & FLAG_FIXED_PADDING, flags),
            ("sectors per block", block <= 3, block),
            ("blocks per bitmap bit", bits <= 63, bits),
        )
        for field, fine, value in checks:
            if not fine:
                raise BadIntegritySuperblock(field, f"{value!r} is not possible")
        return cls(
            tag_bytes=tag,
            journal_sections=sections,
            provided_sectors=provided,
            log2_block_sectors=block,
            log2_bitmap_blocks=bits,
            flags=flags,
            log2_interleave=interleave,
            version=version,
            recalculated=done,
            salt=salt,
        )


@dataclass(frozen=True, slots=True)
class Geometry:
    """Where everything stands on a device, in sectors of 512 bytes unless a name says bytes.

    A logical sector is one of the mapped device, counted from 0. `journal_sections` says
    how large the journal is, `provided` how many logical sectors there are.
    """

    segment: int
    """First sector of the segment: the superblock."""
    log2_block_sectors: int
    tag_bytes: int
    journal_sections: int
    provided: int
    log2_interleave: int = _INTERLEAVE

    @property
    def block_sectors(self) -> int:
        """Sectors that one tag stands for: 1 or 8."""
        return 1 << self.log2_block_sectors

    @property
    def provided_bytes(self) -> int:
        """Size of the mapped device in bytes."""
        return self.provided * SECTOR

    @property
    def entry_bytes(self) -> int:
        """Bytes of a journal entry: sector number, last bytes of each sector, tag."""
        return -(-(8 + 8 * self.block_sectors + self.tag_bytes) // 8) * 8

    @property
    def section_entries(self) -> int:
        """Entries of a journal section."""
        return _ENTRY_SECTORS * (_ENTRY_BYTES // self.entry_bytes)

    @property
    def section_sectors(self) -> int:
        """Sectors of a journal section: 8 of entries, then the data of each."""
        return self.section_entries * self.block_sectors + _ENTRY_SECTORS

    @property
    def journal_bytes(self) -> int:
        """Size of the journal in bytes."""
        return self.journal_sections * self.section_sectors * SECTOR

    @property
    def initial(self) -> int:
        """Sectors of superblock and journal."""
        return SUPERBLOCK_SECTORS + self.journal_sections * self.section_sectors

    @property
    def area_sectors(self) -> int:
        """Data sectors of an area: the interleave."""
        return 1 << self.log2_interleave

    @property
    def tag_run(self) -> int:
        """Sectors of tags before the data of each area."""
        tags = self.tag_bytes << (self.log2_interleave - self.log2_block_sectors)
        return -(-tags // SUPERBLOCK_BYTES) * SUPERBLOCK_SECTORS

    def area_start(self, area: int) -> int:
        """First sector of area number `area`: that of its tags."""
        return self.segment + self.initial + area * (self.area_sectors + self.tag_run)

    def data_sector(self, sector: int) -> int:
        """Where a logical sector's ciphertext stands."""
        area, inside = divmod(sector, self.area_sectors)
        return self.area_start(area) + self.tag_run + inside

    def tag_byte(self, sector: int) -> int:
        """Byte on the device where the tag of a logical sector's block stands."""
        area, inside = divmod(sector, self.area_sectors)
        return self.area_start(area) * SECTOR + (inside >> self.log2_block_sectors) * self.tag_bytes

    def log2_bitmap_blocks(self) -> int:
        """The superblock's field: blocks per bit of a dirty bitmap in place of the journal.

        It must be exact: the kernel begins to recalculate tags where it differs from its own
        result while FLAG_DIRTY_BITMAP is set, and crashes, as there is no internal hash.
        """
        bits = self.journal_sections * self.section_sectors * SECTOR * 8
        log2 = max(_INTERLEAVE, self.log2_block_sectors)
        while bits < -(-self.provided // (1 << log2)):
            log2 += 1
        return log2 - self.log2_block_sectors

    def superblock(self, *, flags: int = FLAG_FIXED_PADDING) -> IntegritySuperblock:
        """The superblock of a fresh device with this geometry."""
        return IntegritySuperblock(
            tag_bytes=self.tag_bytes,
            journal_sections=self.journal_sections,
            provided_sectors=self.provided,
            log2_block_sectors=self.log2_block_sectors,
            log2_bitmap_blocks=self.log2_bitmap_blocks(),
            flags=flags,
            log2_interleave=self.log2_interleave,
        )


def geometry(
    device_bytes: int,
    encryption: Encryption,
    *,
    journal_bytes: int | None = None,
    segment_offset: int = SEGMENT_OFFSET,
) -> Geometry:
    """The geometry of a volume on a partition of `device_bytes` (the LUKS2 header included).

    `journal_bytes` is the most the journal may take (it has one section at least); None
    gives what cryptsetup makes: 1/128 of the device, at most 64 MiB. Raises
    TooSmallForIntegrity.
    """
    device = device_bytes // SECTOR
    bare = Geometry(
        segment=segment_offset // SECTOR,
        log2_block_sectors=(encryption.sector_size // SECTOR).bit_length() - 1,
        tag_bytes=encryption.tag_bytes,
        journal_sections=1,
        provided=0,
    )
    most = min(_MOST_JOURNAL_SECTORS, device >> 7)
    if journal_bytes is not None:
        most = journal_bytes // SECTOR
    sized = replace(bare, journal_sections=max(1, most // bare.section_sectors))
    return with_provided(sized, device_bytes)


def with_provided(bare: Geometry, device_bytes: int) -> Geometry:
    """The geometry as the kernel completes it for the device's size (after growth, too)."""
    device, provided = device_bytes // SECTOR, 0
    for bit in range(device.bit_length() - 1, 2, -1):
        tried = provided | 1 << bit
        if bare.data_sector(tried - 1) < device:
            provided = tried
    if provided == 0:
        raise TooSmallForIntegrity(
            f"{device_bytes} bytes are too few for a volume with integrity",
            hint="make the partition larger",
        )
    return replace(bare, provided=provided)


def geometry_of(superblock: IntegritySuperblock, *, segment_offset: int) -> Geometry:
    """The geometry of an existing volume; `segment_offset` in bytes, from its LUKS2 header."""
    return Geometry(
        segment=segment_offset // SECTOR,
        log2_block_sectors=superblock.log2_block_sectors,
        tag_bytes=superblock.tag_bytes,
        journal_sections=superblock.journal_sections,
        provided=superblock.provided_sectors,
        log2_interleave=superblock.log2_interleave,
    )


def fresh_section(place: Geometry, number: int) -> bytes:
    """Journal section `number` as a format writes it: no entry used, commit ids in place.

    The commit id, in the last 8 bytes of every sector, binds the sector to its section
    and to its place therein.
    """
    entries = _UNUSED_ENTRY.ljust(place.entry_bytes, b"\0") * (_ENTRY_BYTES // place.entry_bytes)
    filled, empty = entries.ljust(_ENTRY_BYTES, b"\0"), bytes(_ENTRY_BYTES)
    base = _COMMIT_MAGIC ^ number << 32
    return b"".join(
        (filled if sector < _ENTRY_SECTORS else empty) + (base ^ sector).to_bytes(8, "little")
        for sector in range(place.section_sectors)
    )
