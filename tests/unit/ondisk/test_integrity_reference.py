"""Our geometry of dm-integrity against superblocks that real tools and kernels made.

integrity_superblocks.json has them, and says how they were made; between its sizes,
hypothesis looks for sizes where the formulas contradict each other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kiwilite.ondisk.encryption import Encryption, encryption
from kiwilite.ondisk.integrity import (
    SECTOR,
    Geometry,
    IntegritySuperblock,
    TooSmallForIntegrity,
    geometry,
    geometry_of,
    with_provided,
)

SEGMENT = 16 << 20


@dataclass(frozen=True, slots=True)
class Reference:
    """A device of `sectors`, formatted when it had `formatted` of them."""

    kernel: str
    encryption: Encryption
    sectors: int
    formatted: int
    superblock: bytes

    def __str__(self) -> str:
        chosen = self.encryption
        return f"{self.kernel}-{chosen.cipher}-{chosen.sector_size}-{self.sectors}"


def references() -> list[Reference]:
    loaded = json.loads(Path(__file__).with_name("integrity_superblocks.json").read_text())
    return [
        Reference(
            row["kernel"],
            encryption(row["cipher"], row["integrity"], row["sector_size"]),
            row["sectors"],
            row.get("grown_from", row["sectors"]),
            bytes.fromhex(row["superblock"]),
        )
        for row in loaded["superblocks"]
    ]


REFERENCES = references()
ENCRYPTIONS = sorted({r.encryption for r in REFERENCES}, key=str)
FRESH = [r for r in REFERENCES if r.sectors == r.formatted]
GROWN = [r for r in REFERENCES if r.sectors != r.formatted]
encryptions = st.sampled_from(ENCRYPTIONS)
device_sectors = st.integers(40, 44 * 10).map(lambda tenths: int(2 ** (tenths / 10))) | st.integers(
    34 * 1024, 1 << 36
)


def test_the_references_are_many() -> None:
    assert len(FRESH) >= 200
    assert len(GROWN) >= 40
    assert {r.kernel for r in REFERENCES} == {"6.1", "6.12"}
    assert len(ENCRYPTIONS) == 7


@pytest.mark.parametrize("reference", FRESH, ids=str)
def test_our_superblock_is_the_one_the_tools_make(reference: Reference) -> None:
    made = geometry(reference.sectors * SECTOR, reference.encryption).superblock().pack()
    assert made[:64] == reference.superblock
    assert not any(made[64:])


@pytest.mark.parametrize("reference", GROWN, ids=str)
def test_after_growth_the_kernel_provides_what_we_compute(reference: Reference) -> None:
    before = geometry(reference.formatted * SECTOR, reference.encryption)
    grown = with_provided(before, reference.sectors * SECTOR)
    assert grown.provided > before.provided
    assert grown.superblock().pack()[:64] == reference.superblock


@pytest.mark.parametrize("reference", REFERENCES, ids=str)
def test_a_superblock_gives_its_geometry_back(reference: Reference) -> None:
    read = IntegritySuperblock.unpack(reference.superblock.ljust(4096, b"\0"))
    place = geometry_of(read, segment_offset=SEGMENT)
    assert with_provided(place, reference.sectors * SECTOR) == place
    assert place.superblock() == read
    assert place.tag_bytes == reference.encryption.tag_bytes
    assert place.block_sectors * SECTOR == reference.encryption.sector_size


def geometry_or_skip(sectors: int, chosen: Encryption, journal: int | None = None) -> Geometry:
    try:
        return geometry(sectors * SECTOR, chosen, journal_bytes=journal)
    except TooSmallForIntegrity:
        assume(False)
        raise


journals = st.none() | st.integers(0, 64 << 20)


@settings(deadline=None)
@given(device_sectors, encryptions, journals)
def test_all_that_fits_is_provided_and_no_more(
    sectors: int, chosen: Encryption, journal: int | None
) -> None:
    place = geometry_or_skip(sectors, chosen, journal)
    assert place.provided % 8 == 0
    assert place.data_sector(place.provided - 1) < sectors
    # the last of the next eight sectors stands behind the end
    assert place.data_sector(place.provided + 7) >= sectors


@settings(deadline=None)
@given(device_sectors, st.integers(0, 1 << 20), encryptions)
def test_a_longer_device_provides_as_much_at_least(
    sectors: int, more: int, chosen: Encryption
) -> None:
    place = geometry_or_skip(sectors, chosen)
    grown = with_provided(place, (sectors + more) * SECTOR)
    assert place.provided <= grown.provided <= place.provided + more + 8
    assert replace(grown, provided=place.provided) == place


@settings(deadline=None)
@given(device_sectors, encryptions, journals, st.data())
def test_nothing_stands_on_anything_else(
    sectors: int, chosen: Encryption, journal: int | None, data: st.DataObject
) -> None:
    """Superblock and journal, then in each area tags, then data, and no two in one place."""
    place = geometry_or_skip(sectors, chosen, journal)
    blocks = st.integers(0, place.provided // place.block_sectors - 1)
    one, other = (data.draw(blocks) * place.block_sectors for _ in range(2))
    assume(one != other)
    pieces = sorted(
        piece
        for x in (one, other)
        for piece in (
            (place.data_sector(x) * SECTOR, place.block_sectors * SECTOR),
            (place.tag_byte(x), place.tag_bytes),
        )
    )
    first = SEGMENT + 4096 + place.journal_bytes
    assert place.initial * SECTOR == first - SEGMENT
    ends = [first] + [start + length for start, length in pieces]
    assert all(end <= start for end, (start, _) in zip(ends, pieces, strict=False))
    assert ends[-1] <= sectors * SECTOR


@settings(deadline=None)
@given(device_sectors, encryptions, journals)
def test_a_superblock_is_read_as_it_was_written(
    sectors: int, chosen: Encryption, journal: int | None
) -> None:
    place = geometry_or_skip(sectors, chosen, journal)
    read = IntegritySuperblock.unpack(place.superblock().pack())
    assert geometry_of(read, segment_offset=SEGMENT) == place
