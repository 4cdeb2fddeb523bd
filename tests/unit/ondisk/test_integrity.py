"""dm-integrity's superblock and geometry, against devices that real tools made."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.ondisk import integrity
from kiwilite.ondisk.encryption import (
    Encryption,
    UnknownEncryption,
    encryption,
    encryption_of_segment,
)
from kiwilite.ondisk.integrity import (
    FLAG_DIRTY_BITMAP,
    FLAG_FIXED_PADDING,
    SECTOR,
    BadIntegritySuperblock,
    Geometry,
    IntegritySuperblock,
    TooSmallForIntegrity,
)

MIB = 1 << 20
GCM = encryption("aes-gcm-random", "aead", 4096)
GCM_512 = encryption("aes-gcm-random", "aead", 512)
XTS = encryption("aes-xts-plain64", "hmac-sha256", 4096)
XTS_512 = encryption("aes-xts-plain64", "hmac-sha256", 512)
XTS_RANDOM = encryption("aes-xts-random", "hmac-sha256", 4096)
ALL = st.sampled_from([GCM, GCM_512, XTS, XTS_512, XTS_RANDOM])


@st.composite
def geometries(draw: st.DrawFn) -> tuple[int, Geometry]:
    """A device's size in bytes and a geometry on it."""
    size = draw(st.integers(40 * MIB, 1 << 46)) // SECTOR * SECTOR
    journal = draw(st.none() | st.integers(0, 8 * MIB))
    return size, integrity.geometry(size, draw(ALL), journal_bytes=journal)


# Read from headers that cryptsetup 2.7 and Linux 6.12 made: bytes of the device, journal
# sections, provided sectors, log2 of blocks per bitmap bit.
MADE_BY_CRYPTSETUP = [
    ("aes-gcm-random", 4096, 7198200320, 416, 13821856, 12),
    ("aes-gcm-random", 4096, 32736401408, 496, 63341344, 12),
    ("aes-gcm-random", 4096, 281503232, 16, 509224, 12),
    ("aes-gcm-random", 512, 102273536, 17, 156520, 15),
    ("aes-gcm-random", 512, 20071941120, 1489, 37014240, 15),
    ("aes-gcm-random", 512, 78449797632, 1489, 145121680, 15),
    ("aes-xts-plain64", 4096, 569214976, 32, 1062072, 12),
    ("aes-xts-plain64", 4096, 218561024, 12, 387856, 12),
    ("aes-xts-plain64", 4096, 13811859968, 496, 26604696, 12),
    ("aes-xts-plain64", 512, 109880200192, 1489, 201830272, 15),
    ("aes-xts-plain64", 512, 80647168, 13, 115400, 15),
    ("aes-xts-plain64", 512, 40436224, 7, 41488, 15),
    ("aes-xts-random", 4096, 707862528, 40, 1323464, 12),
    ("aes-xts-random", 4096, 410434560, 23, 753664, 12),
    ("aes-xts-random", 4096, 6801542656, 393, 12995280, 12),
    ("aes-gcm-random", 4096, 134217728, 7, 225952, 12),
    ("aes-gcm-random", 4096, 369098752, 21, 677872, 12),
    ("aes-gcm-random", 512, 1073741824, 186, 1940488, 15),
]


@pytest.mark.parametrize("row", MADE_BY_CRYPTSETUP)
def test_the_geometry_is_that_of_a_real_device(row: tuple[str, int, int, int, int, int]) -> None:
    cipher, sector_size, size, sections, provided, bitmap = row
    other = "aead" if cipher == "aes-gcm-random" else "hmac-sha256"
    place = integrity.geometry(size, encryption(cipher, other, sector_size))
    found = (place.journal_sections, place.provided, place.log2_bitmap_blocks())
    assert found == (sections, provided, bitmap)


@given(geometries())
def test_the_last_sector_fits_and_the_next_block_would_not(case: tuple[int, Geometry]) -> None:
    size, place = case
    assert place.data_sector(place.provided - 1) < size // SECTOR
    assert place.provided % 8 == 0
    assert place.data_sector(place.provided + 7) >= size // SECTOR


@given(geometries(), st.data())
def test_nothing_stands_where_something_else_does(
    case: tuple[int, Geometry], data: st.DataObject
) -> None:
    """Tags before the data of their area, data before the tags of the next one."""
    _, place = case
    block = place.block_sectors
    x = data.draw(st.integers(0, place.provided // block - 1)) * block
    area = x // place.area_sectors
    start = place.area_start(area) * SECTOR
    assert start <= place.tag_byte(x)
    assert place.tag_byte(x) + place.tag_bytes <= start + place.tag_run * SECTOR
    assert place.data_sector(x) * SECTOR >= start + place.tag_run * SECTOR
    assert place.data_sector(x) + block <= place.area_start(area + 1)
    assert place.area_start(0) == place.segment + 8 + place.journal_bytes // SECTOR


@given(geometries())
def test_the_bitmap_has_a_bit_for_every_block_and_fits_into_the_journal(
    case: tuple[int, Geometry],
) -> None:
    _, place = case
    sectors_per_bit = 1 << place.log2_bitmap_blocks() + place.log2_block_sectors
    assert -(-place.provided // sectors_per_bit) <= place.journal_bytes * 8
    # and it is as fine as can be: half as many sectors per bit would be less than 2^15, or not fit
    assert sectors_per_bit == 1 << 15 or -(-place.provided // (sectors_per_bit // 2)) > (
        place.journal_bytes * 8
    )


@pytest.mark.parametrize("size", [0, 16 * MIB, 16 * MIB + 4096, 16 * MIB + 200 * 512])
def test_a_device_without_room_is_refused(size: int) -> None:
    with pytest.raises(TooSmallForIntegrity):
        integrity.geometry(size, GCM)


SUPERBLOCKS = st.builds(
    IntegritySuperblock,
    tag_bytes=st.integers(1, 256),
    journal_sections=st.integers(1, (1 << 32) - 1),
    provided_sectors=st.integers(1, (1 << 64) - 1),
    log2_block_sectors=st.integers(0, 3),
    log2_bitmap_blocks=st.integers(0, 63),
    flags=st.integers(0, 63).map(lambda n: n | FLAG_FIXED_PADDING),
    log2_interleave=st.integers(3, 31),
    version=st.integers(4, 6),
    recalculated=st.integers(0, (1 << 64) - 1),
    salt=st.binary(min_size=16, max_size=16),
)


@given(SUPERBLOCKS)
def test_a_superblock_reads_back_as_it_was_written(superblock: IntegritySuperblock) -> None:
    raw = superblock.pack()
    assert len(raw) == 4096
    assert IntegritySuperblock.unpack(raw) == superblock


@given(SUPERBLOCKS, st.integers(0, 63), st.binary(min_size=1, max_size=8))
def test_a_damaged_superblock_is_refused_by_a_field_or_read(
    superblock: IntegritySuperblock, at: int, junk: bytes
) -> None:
    raw = bytearray(superblock.pack())
    raw[at : at + len(junk)] = junk
    try:
        IntegritySuperblock.unpack(bytes(raw))
    except BadIntegritySuperblock as error:
        assert error.field in str(error)


@given(st.binary(max_size=5000))
def test_noise_is_no_superblock(noise: bytes) -> None:
    with pytest.raises(BadIntegritySuperblock):
        IntegritySuperblock.unpack(noise)


def test_a_superblock_gives_the_geometry_it_was_made_from() -> None:
    place = integrity.geometry(3072 * MIB, XTS, journal_bytes=4 * MIB)
    assert integrity.geometry_of(place.superblock(), segment_offset=16 * MIB) == place
    dirty = place.superblock(flags=FLAG_FIXED_PADDING | FLAG_DIRTY_BITMAP)
    assert dirty.pack()[24:28] == b"\x0c\0\0\0"


def test_the_kernel_s_geometry_after_growth_keeps_the_journal() -> None:
    before = integrity.geometry(1000 * MIB, XTS, journal_bytes=MIB)
    after = integrity.with_provided(before, 1500 * MIB)
    assert after.provided > before.provided
    assert after.data_sector(0) == before.data_sector(0)


@pytest.mark.parametrize("kind", [GCM, GCM_512, XTS])
def test_a_fresh_journal_section_has_no_entry_and_its_commit_ids(kind: Encryption) -> None:
    place = integrity.geometry(512 * MIB, kind)
    section = integrity.fresh_section(place, 3)
    assert len(section) == place.section_sectors * SECTOR
    for number in range(place.section_sectors):
        sector = section[number * SECTOR : (number + 1) * SECTOR]
        (commit,) = struct.unpack("<Q", sector[-8:])
        assert commit == 0x1111111111111111 ^ 3 << 32 ^ number
        per_sector = 504 // place.entry_bytes if number < 8 else 0
        for entry in range(per_sector):
            at = entry * place.entry_bytes
            assert sector[at : at + 8] == b"\0\0\0\0\xff\xff\xff\xff"
        assert sector[:-8].count(b"\xff\xff\xff\xff") == per_sector
    assert place.section_entries == 8 * (504 // place.entry_bytes)


def test_what_is_no_encryption_is_refused_with_the_reason() -> None:
    for arguments, words in (
        (("serpent-xts-plain64", "hmac-sha256", 4096), "not known"),
        (("aes-gcm-random", "hmac-sha256", 4096), "does not go with"),
        (("aes-gcm-random", "aead", 1024), "512 or 4096"),
    ):
        with pytest.raises(UnknownEncryption, match=words):
            encryption(*arguments)
    with pytest.raises(UnknownEncryption, match="256 or 128 bits"):
        encryption("aes-gcm-random", "aead", 512, key_bits=512)


@pytest.mark.parametrize("kind", [GCM, XTS, XTS_RANDOM, encryption("aegis128-random", "aead", 512)])
def test_the_header_s_spelling_gives_the_same_encryption(kind: Encryption) -> None:
    again = encryption_of_segment(
        kind.cipher, kind.segment_integrity, kind.sector_size, kind.key_bytes
    )
    assert again == kind
    with pytest.raises(UnknownEncryption):
        encryption_of_segment(kind.cipher, "none", kind.sector_size, kind.key_bytes)
    with pytest.raises(UnknownEncryption):
        encryption_of_segment(kind.cipher, kind.segment_integrity, kind.sector_size, 7)
