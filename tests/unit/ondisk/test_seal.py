"""The seal tells which part of a disk has changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import seal

REGIONS = (("mbr", 0, 446), ("p.UEFI", 1 << 20, 3 << 20), ("home %1", 4 << 20, (1 << 20) + 7))


def disk(size: int = 6 << 20) -> bytearray:
    raw = bytearray(size)
    for at in (3, (1 << 20) + 5, (3 << 20) - 1, (5 << 20) + 6):
        raw[at] = 0x5A
    return raw


def blocks_of(raw: bytearray) -> seal.Blocks:
    def blocks(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for at in range(start, end, seal.BLOCK):
            yield at, bytes(raw[at : min(at + seal.BLOCK, end)])

    return blocks


def changed(parts: tuple[seal.Part, ...], raw: bytearray) -> list[seal.Part]:
    return [p for p in parts if seal.digest(p.start, p.end, blocks_of(raw)) != p.digest]


def test_parts_of_a_region_cover_it_side_by_side() -> None:
    parts = seal.seal(REGIONS, blocks_of(disk()))
    for name, start, length in REGIONS:
        mine = [p for p in parts if p.name == name]
        assert mine[0].start == start
        assert mine[-1].end == start + length
        assert all(a.end == b.start for a, b in itertools.pairwise(mine))


@settings(deadline=None)
@given(st.sampled_from(REGIONS), st.data())
def test_one_flipped_bit_changes_the_part_it_is_in(
    region: tuple[str, int, int], data: st.DataObject
) -> None:
    raw = disk()
    parts = seal.seal(REGIONS, blocks_of(raw))
    at = data.draw(st.integers(region[1], region[1] + region[2] - 1))
    raw[at] ^= 1 << data.draw(st.integers(0, 7))
    (found,) = changed(parts, raw)
    assert found.start <= at < found.end
    assert found.name == region[0]


def test_swapped_blocks_of_a_part_change_it() -> None:
    raw = bytearray(256 * 1024)
    raw[0:4], raw[seal.BLOCK : seal.BLOCK + 4] = b"one.", b"two."
    whole = seal.Part("p", 0, len(raw), seal.digest(0, len(raw), blocks_of(raw)))
    raw[0:4], raw[seal.BLOCK : seal.BLOCK + 4] = b"two.", b"one."
    assert changed((whole,), raw) == [whole]


def test_holes_need_not_be_read() -> None:
    raw = disk()

    def only_data(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for at, block in blocks_of(raw)(start, end):
            if any(block):
                yield at, block

    assert seal.seal(REGIONS, only_data) == seal.seal(REGIONS, blocks_of(raw))


def test_the_record_reads_back() -> None:
    parts = seal.seal(REGIONS, blocks_of(disk()))
    record = seal.pack(parts)
    assert len(record) % 4096 == 0
    assert seal.unpack(record + b"garbage") == parts
    assert record.startswith(b"KIWILITE SEAL 1\nmbr 0 446 ")
    assert b"\nhome%20%251 " in record


@settings(deadline=None)
@given(st.data())
def test_no_flipped_bit_of_the_record_goes_unnoticed(data: st.DataObject) -> None:
    record = bytearray(seal.pack(seal.seal(REGIONS, blocks_of(disk()))))
    text = len(record.rstrip(b"\0"))
    record[data.draw(st.integers(0, text - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(seal.BadSeal):
        seal.unpack(bytes(record))


def test_a_large_disk_gets_longer_parts_and_still_fits() -> None:
    size = 1 << 30

    def full(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        return ((at, b"x") for at in range(start, end, seal.BLOCK))

    parts = seal.seal([("p", 0, size)], full)
    assert len(seal.pack(parts)) <= seal.MAX_BYTES
    assert len(parts) > 1000
    assert sum(p.length for p in parts) == size


def test_a_small_region_keeps_short_parts_beside_a_large_one() -> None:
    def full(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        return ((at, b"x") for at in range(start, end, seal.BLOCK))

    parts = seal.seal([("large", 0, 1 << 30), ("small", 1 << 30, 16 << 20)], full)
    assert {p.length for p in parts if p.name == "small"} == {seal.BLOCK}


def test_zeros_and_nothing_are_no_seal() -> None:
    for raw in (b"", bytes(4096), b"KIWILITE SEAL 2\n"):
        with pytest.raises(seal.BadSeal):
            seal.unpack(raw)
