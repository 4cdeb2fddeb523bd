"""A volume's payload in a file: written in pieces, checked and read area by area."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import integrity
from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.integrity import SECTOR
from kiwilite.ondisk.payload import (
    Extent,
    Found,
    Payload,
    by_area,
    check_area,
    decrypt_area,
    encrypt,
    united,
)
from kiwilite.ondisk.sectors import BAD, UNWRITTEN, Buffer, sector_cipher

MIB = 1 << 20
SIZE = 60 * MIB
"""Three areas, the last one short."""
KINDS = [
    encryption("aes-gcm-random", "aead", 4096),
    encryption("aes-xts-plain64", "hmac-sha256", 4096),
    encryption("aes-gcm-random", "aead", 512),
]


@dataclass(slots=True)
class Sparse:
    """A file in memory that knows its holes, in pages of 512 bytes."""

    pages: dict[int, bytes] = field(default_factory=dict)

    def read(self, offset: int, length: int) -> bytes:
        first, last = offset // 512, -(-(offset + length) // 512)
        data = b"".join(self.pages.get(n, bytes(512)) for n in range(first, last))
        return data[offset - first * 512 :][:length]

    def write(self, offset: int, data: Buffer) -> None:
        first, last = offset // 512, -(-(offset + len(data)) // 512)
        old = bytearray(b"".join(self.pages.get(n, bytes(512)) for n in range(first, last)))
        old[offset - first * 512 : offset - first * 512 + len(data)] = data
        for n in range(first, last):
            self.pages[n] = bytes(old[(n - first) * 512 : (n - first + 1) * 512])

    def flip(self, offset: int) -> None:
        self.write(offset, bytes([self.read(offset, 1)[0] ^ 1]))


def payload_of(number: int) -> Payload:
    kind = KINDS[number]
    place = integrity.geometry(SIZE, kind, journal_bytes=0)
    return Payload(place, sector_cipher(kind, bytes(range(kind.key_bytes))))


def plain_text(offset: int, length: int) -> bytes:
    """A plain text that is nowhere the same."""
    words = (n.to_bytes(8, "big") for n in range(offset // 8, -(-(offset + length) // 8)))
    return b"".join(words)[offset % 8 :][:length]


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_what_was_written_is_good_and_the_rest_is_unwritten(number: int) -> None:
    payload, file = payload_of(number), Sparse()
    end = payload.geometry.provided_bytes
    extents = (
        Extent(0, 3 * MIB + 4096),
        Extent(16 * MIB - 8192, 16384),
        Extent(end - 4096, 4096),
    )
    encrypt(payload, extents, plain_text, file.write, os.urandom)
    holes = [f for n in payload.areas for f in check_area(payload, n, file.read)]
    assert {f.state for f in holes} == {UNWRITTEN}
    together = united([*extents, *(f.extent for f in holes)], 4096, end)
    assert together == (Extent(0, end),)
    assert sum(f.extent.length for f in holes) + sum(e.length for e in extents) == end
    back = Sparse()
    assert holes == [
        f for n in payload.areas for f in decrypt_area(payload, n, file.read, back.write)
    ]
    for extent in extents:
        assert back.read(extent.start, extent.length) == plain_text(extent.start, extent.length)
    assert sum(512 for _ in back.pages) < sum(e.length for e in extents) + (4 << 16)


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_damage_is_found_at_its_place(number: int) -> None:
    payload, file = payload_of(number), Sparse()
    size = payload.cipher.encryption.sector_size
    start = 16 * MIB + 5 * MIB
    encrypt(payload, [Extent(start, MIB)], plain_text, file.write, os.urandom)
    in_data, in_tag = start + 40 * size, start + 43 * size
    file.flip(payload.geometry.data_sector(in_data // SECTOR) * SECTOR + 17)
    file.flip(payload.geometry.tag_byte(in_tag // SECTOR) + 27)
    found = [f for f in check_area(payload, 1, file.read) if f.state == BAD]
    assert found == [Found(BAD, Extent(in_data, size)), Found(BAD, Extent(in_tag, size))]


EXTENTS = st.lists(
    st.builds(Extent, st.integers(0, 1000), st.integers(0, 200)), min_size=1, max_size=12
)


@given(EXTENTS, st.sampled_from([1, 8, 64]))
def test_united_extents_cover_the_same_and_no_more_than_they_must(
    extents: list[Extent], unit: int
) -> None:
    end = 1024
    rows = united(extents, unit, end)
    covered = {n for e in rows for n in range(e.start, e.end)}
    wanted = {
        n
        for e in extents
        if e.length
        for n in range(e.start // unit * unit, min(-(-e.end // unit) * unit, end))
    }
    assert covered == wanted
    assert all(a.end < b.start for a, b in pairwise(rows))


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(1, 9000), st.integers(1, 9000)), max_size=6))
def test_rows_by_area_have_all_that_is_to_be_written(gaps: list[tuple[int, int]]) -> None:
    payload = payload_of(0)
    extents, at = [], 0
    for gap, length in gaps:
        extents.append(Extent(at + gap * 4096, length * 4096))
        at = extents[-1].end
    rows = list(by_area(payload, extents))
    assert united([e for row in rows for e in row], 4096, at) == united(extents, 4096, at)
    for row in rows:
        assert len({e.start >> 24 for e in row} | {e.end - 1 >> 24 for e in row}) == 1
    areas = [row[0].start >> 24 for row in rows]
    assert areas == sorted(set(areas))
