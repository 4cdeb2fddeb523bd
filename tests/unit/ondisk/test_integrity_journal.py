"""The journal of dm-integrity: which of its entries the kernel would still put into place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written_journal import committed, section_start

from kiwilite.ondisk import integrity
from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.integrity import SECTOR, Geometry
from kiwilite.ondisk.integrity_journal import pending, replayed

MIB = 1 << 20
KINDS = [
    encryption("aes-gcm-random", "aead", 4096),
    encryption("aes-gcm-random", "aead", 512),
    encryption("aes-xts-plain64", "hmac-sha256", 4096),
]
SECTIONS = 6


@dataclass(slots=True)
class Volume:
    """The bytes of a partition, and a journal that is written as the kernel writes one."""

    place: Geometry
    data: bytearray
    contents: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """Logical sector → block and tag, as they were last put into the journal."""

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def commit(self, section: int, round_: int, entries: Mapping[int, tuple[bytes, bytes]]) -> None:
        """Write a section in a round (0 to 3), with blocks and tags by logical sector."""
        raw = committed(self.place, section, round_, entries)
        start = section_start(self.place, section)
        self.data[start : start + len(raw)] = raw
        self.contents.update(entries)


def fresh(number: int = 0, size: int = 20 * MIB) -> Volume:
    kind = KINDS[number]
    section = integrity.geometry(size, kind, journal_bytes=0).section_sectors * SECTOR
    place = integrity.geometry(size, kind, journal_bytes=SECTIONS * section)
    assert place.journal_sections == SECTIONS
    volume = Volume(place, bytearray(size))
    for index in range(SECTIONS):
        volume.commit(index, 0, {})
    return volume


def some_block(place: Geometry) -> tuple[bytes, bytes]:
    return os.urandom(place.block_sectors * SECTOR), os.urandom(place.tag_bytes)


def in_place(volume: Volume, sector: int) -> tuple[bytes, bytes]:
    """Block and tag as they read with the journal's in front."""
    place = volume.place
    read = replayed(pending(place, volume.read), volume.read)
    block = read(place.data_sector(sector) * SECTOR, place.block_sectors * SECTOR)
    return block, read(place.tag_byte(sector), place.tag_bytes)


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_a_fresh_journal_has_nothing_to_replay(number: int) -> None:
    volume = fresh(number)
    assert pending(volume.place, volume.read) == ()


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_a_committed_block_reads_as_the_journal_has_it(number: int) -> None:
    volume = fresh(number, 40 * MIB)
    place = volume.place
    sectors = [0, place.provided - place.block_sectors, 32768 - place.block_sectors]
    sectors += [place.block_sectors * n for n in range(3, 20)]
    entries = {sector: some_block(place) for sector in sectors}
    volume.commit(0, 1, entries)
    for sector, expected in entries.items():
        assert in_place(volume, sector) == expected
    assert in_place(volume, place.block_sectors * 30) == (
        bytes(place.block_sectors * SECTOR),
        bytes(place.tag_bytes),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4 * SECTIONS), st.randoms(use_true_random=False))
def test_the_last_of_several_writes_of_a_block_wins_round_after_round(
    writes: int, random: object
) -> None:
    volume = fresh()
    place = volume.place
    sector = place.block_sectors * 7
    for n in range(writes):
        volume.commit(n % SECTIONS, (1 + n // SECTIONS) % 4, {sector: some_block(place)})
    assert in_place(volume, sector) == volume.contents[sector]


def test_a_section_that_was_not_written_to_its_end_gives_nothing() -> None:
    volume = fresh()
    place = volume.place
    whole, torn = place.block_sectors * 2, place.block_sectors * 5
    volume.commit(0, 1, {whole: some_block(place)})
    before = volume.read(section_start(place, 1), place.section_sectors * SECTOR)
    volume.commit(1, 1, {torn: some_block(place)})
    middle = 20 * SECTOR
    start = section_start(place, 1)
    volume.data[start + middle : start + len(before)] = before[middle:]
    assert in_place(volume, whole) == volume.contents[whole]
    assert in_place(volume, torn)[1] == bytes(place.tag_bytes)


def test_a_journal_with_a_foreign_sector_is_not_replayed_at_all() -> None:
    """As the kernel does: it writes a new one."""
    volume = fresh()
    volume.commit(0, 1, {0: some_block(volume.place)})
    start = section_start(volume.place, 3)
    volume.data[start + SECTOR - 1] ^= 0xFF
    assert pending(volume.place, volume.read) == ()


def test_an_entry_outside_of_the_device_is_passed_over() -> None:
    volume = fresh()
    place = volume.place
    beyond = some_block(place)
    volume.commit(0, 1, {place.provided: beyond, 1: beyond, 0: some_block(place)})
    assert in_place(volume, 0) == volume.contents[0]
    assert len(pending(place, volume.read)) == 2


@settings(max_examples=30)
@given(st.integers(0, 3 * 4096), st.integers(0, 3 * 4096))
def test_a_read_is_patched_wherever_it_begins_and_ends(start: int, length: int) -> None:
    volume = fresh()
    place = volume.place
    volume.commit(0, 1, {place.block_sectors: some_block(place)})
    read = replayed(pending(place, volume.read), volume.read)
    whole = read(place.data_sector(0) * SECTOR, 6 * 4096)
    at = place.data_sector(0) * SECTOR + start
    assert read(at, length) == whole[start : start + length]
