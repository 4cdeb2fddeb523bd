"""The provisioning mark."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kiwilite.boot.mark import MARK_BYTES, mark_line, provisioning_mark, read_mark


@given(st.uuids())
def test_a_mark_reads_back_its_volume_id(volume_id: UUID) -> None:
    assert read_mark(provisioning_mark(volume_id)) == volume_id


@given(st.uuids())
def test_a_mark_covers_both_luks_headers_and_has_no_hole(volume_id: UUID) -> None:
    mark = provisioning_mark(volume_id)
    assert len(mark) == MARK_BYTES == 65536 > 2 * 16384
    assert b"\0" not in mark


@given(st.uuids(), st.integers(0, 511), st.integers(0, 7))
def test_one_flipped_bit_in_the_first_line_is_no_mark_of_this_id(
    volume_id: UUID, at: int, bit: int
) -> None:
    line = bytearray(mark_line(volume_id))
    line[at] ^= 1 << bit
    assert read_mark(bytes(line)) != volume_id


def test_a_luks_header_or_nothing_is_no_mark() -> None:
    assert read_mark(b"LUKS\xba\xbe" + bytes(4090)) is None
    assert read_mark(b"") is None
    assert read_mark(bytes(65536)) is None
