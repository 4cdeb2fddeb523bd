"""Both copies of a LUKS2 header: round trips, and no byte of them can change unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luks2_samples import headers, sample_volume, with_json

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.luks2 import tokens, volume
from kiwilite.ondisk.luks2.header import (
    BadLuksHeader,
    Copy,
    LuksHeader,
    is_luks2,
    read_both,
    unpack,
)

VOLUME = sample_volume()
RAW = VOLUME[:32768]
HEADER = unpack(RAW)


def newer(header: LuksHeader) -> LuksHeader:
    return replace(header, seqid=header.seqid + 1, label="newer")


def json_of(raw: bytes) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(raw[4096:16384].rstrip(b"\0"))
    return loaded


@settings(deadline=None)
@given(headers())
def test_what_is_packed_is_read_again(header: LuksHeader) -> None:
    raw = header.pack()
    assert len(raw) == 2 * header.header_bytes
    assert unpack(raw) == header
    assert read_both(raw).agree


def changed(raw: bytes, offset: int, mask: int) -> bytes:
    return raw[:offset] + bytes([raw[offset] ^ mask]) + raw[offset + 1 :]


def seen_in(raw: bytes) -> Copy | None:
    """Which single copy is reported as damaged."""
    copies = read_both(raw)
    damaged = [copy.copy for copy in copies if isinstance(copy, BadLuksHeader)]
    assert len(damaged) <= 1
    return damaged[0] if damaged else None


@settings(deadline=None, max_examples=500)
@given(st.integers(0, 32767), st.integers(1, 255))
def test_any_changed_byte_of_a_header_is_found_and_placed(offset: int, mask: int) -> None:
    expected = Copy.PRIMARY if offset < 16384 else Copy.SECONDARY
    assert seen_in(changed(RAW, offset, mask)) is expected


def test_every_bit_of_the_binary_half_is_covered() -> None:
    """Also those of the checksum's field that are behind the checksum."""
    for offset in [*range(512), *range(16384, 16384 + 512)]:
        expected = Copy.PRIMARY if offset < 16384 else Copy.SECONDARY
        assert seen_in(changed(RAW, offset, 1 << offset % 8)) is expected, offset


def test_the_other_copy_serves_where_one_is_damaged() -> None:
    for offset in (0, 100, 5000, 16384, 20000):
        copies = read_both(changed(RAW, offset, 1))
        assert copies.best == HEADER
        assert not copies.agree


def test_two_damaged_copies_are_an_error_that_names_the_field() -> None:
    raw = changed(changed(RAW, 5000, 1), 16384 + 5000, 1)
    with pytest.raises(BadLuksHeader, match=r"primary header, checksum") as raised:
        unpack(raw)
    assert (raised.value.copy, raised.value.field) == (Copy.PRIMARY, "checksum")


def test_of_two_good_copies_the_newer_one_counts() -> None:
    old = HEADER
    new = newer(old)
    first, second = Copy.PRIMARY, Copy.SECONDARY
    assert unpack(new.pack_copy(first) + old.pack_copy(second)) == new
    assert unpack(old.pack_copy(first) + new.pack_copy(second)) == new
    assert not read_both(old.pack_copy(first) + new.pack_copy(second)).agree


def test_a_newer_copy_that_is_damaged_does_not_count() -> None:
    raw = HEADER.pack_copy(Copy.PRIMARY) + newer(HEADER).pack_copy(Copy.SECONDARY)
    assert unpack(changed(raw, 20000, 1)) == HEADER


def test_copies_with_other_salts_agree() -> None:
    other = replace(HEADER, salt=bytes(64))
    raw = HEADER.pack_copy(Copy.PRIMARY) + other.pack_copy(Copy.SECONDARY)
    assert read_both(raw).agree


@pytest.mark.parametrize("size", [0, 7, 511, 4096, 16384, 20000, 32767])
def test_a_cut_header_is_an_error(size: int) -> None:
    copies = read_both(RAW[:size])
    assert isinstance(copies.secondary, BadLuksHeader)
    assert isinstance(copies.primary, BadLuksHeader) == (size < 16384)


def test_zeros_are_no_header() -> None:
    copies = read_both(bytes(32768))
    for copy in copies:
        assert isinstance(copy, BadLuksHeader)
        assert copy.field == "magic"


def test_a_damaged_secondary_is_told_from_one_that_is_not_there() -> None:
    both = changed(changed(RAW, 0, 1), 20000, 1)
    secondary = read_both(both).secondary
    assert isinstance(secondary, BadLuksHeader)
    assert secondary.field == "checksum"


def test_the_magic_tells_luks2_from_luks1() -> None:
    assert is_luks2(RAW)
    assert not is_luks2(b"LUKS\xba\xbe\x00\x01")
    assert not is_luks2(b"")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": "x" * 48}, "label"),
        ({"label": "a\0b"}, "label"),
        ({"subsystem": "ü" * 24}, "subsystem"),
        ({"seqid": 1 << 64}, "sequence number"),
        ({"salt": b"short"}, "salt"),
        ({"header_bytes": 20000}, "size"),
        ({"header_bytes": 32768}, "JSON size"),
        ({"checksum_algorithm": "md5"}, "checksum algorithm"),
    ],
)
def test_what_does_not_fit_is_not_packed(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadLuksHeader) as raised:
        replace(HEADER, **change).pack()
    assert raised.value.field == field


def test_json_that_is_too_long_is_not_packed() -> None:
    token = tokens.name_token(0, 0, "x" * 12000)
    with pytest.raises(BadLuksHeader, match="at most 12287 fit"):
        replace(HEADER, metadata=replace(HEADER.metadata, tokens=(token,))).pack()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("keyslots.0.type", "reencrypt", "keyslots.0.type"),
        ("keyslots.0.area.offset", "4096", "keyslots.0.area"),
        ("keyslots.0.area.offset", 32768, "keyslots.0.area.offset"),
        ("keyslots.0.area.size", "4096", "keyslots.0.area.size"),
        ("keyslots.0.area.size", "99999999999999999999", "keyslots.0.area.size"),
        ("keyslots.0.af.stripes", 0, "keyslots.0.af.stripes"),
        ("keyslots.0.kdf.type", "scrypt", "keyslots.0.kdf.type"),
        ("keyslots.0.kdf.salt", "!!", "keyslots.0.kdf.salt"),
        ("keyslots.0.key_size", True, "keyslots.0.key_size"),
        ("segments.0.offset", "16384", "segments.0.offset"),
        ("segments.0.size", "-1", "segments.0.size"),
        ("segments.0.sector_size", 513, "segments.0.sector_size"),
        ("digests.0.segments", ["1"], "digests.0.segments"),
        ("digests.0.keyslots", ["7"], "digests.0.keyslots"),
        ("digests.0.digest", "AAAA", "digests.0.digest"),
        ("tokens", [], "tokens"),
        ("config.json_size", "4096", "size"),
        ("config", None, "config"),
    ],
)
def test_wrong_json_with_a_right_checksum_is_named(path: str, value: object, field: str) -> None:
    tree = json_of(RAW)
    *parents, last = path.split(".")
    node = tree
    for name in parents:
        node = node[name]
    node[last] = value
    with pytest.raises(BadLuksHeader) as raised:
        unpack(with_json(RAW, json.dumps(tree).encode()))
    assert raised.value.field in {f"JSON {field}", f"JSON {path}"}


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"config":NaN}', b'"' * 100, b"[" * 12000,
        b"1" * 12000, b'{"config":{"json_size":"' + b"9" * 5000 + b'"}}',
    ],
)  # fmt: skip
def test_text_that_is_no_header_is_an_error(text: bytes) -> None:
    with pytest.raises(BadLuksHeader):
        unpack(with_json(RAW, text))


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON tree."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


odd_values = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 70), 1 << 12), st.text(max_size=8),
    st.sampled_from(["0", "1", "dynamic", "18446744073709551615", [], {}, ["0"], [0], "AAAA"]),
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_hostile_json_is_an_error_or_a_header_and_nothing_else(data: st.DataObject) -> None:
    """And opening the volume gives the key or an error that says what is wrong."""
    tree = json_of(RAW)
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = data.draw(st.sampled_from(list(places(tree))))
        node[key] = deepcopy(data.draw(odd_values))  # what is drawn is one object each time
    try:
        header = unpack(with_json(RAW, json.dumps(tree).encode()))
        volume.unlock(header, lambda offset, size: VOLUME[offset : offset + size], b"first")
    except KiwiliteError:
        pass


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=600), st.integers(0, 40000))
def test_noise_is_an_error_or_a_header_and_nothing_else(noise: bytes, at: int) -> None:
    raw = bytearray(RAW)
    raw[at : at + len(noise)] = noise
    for copy in read_both(bytes(raw)):
        assert isinstance(copy, LuksHeader | BadLuksHeader)


def test_a_header_of_another_size_is_found_without_its_primary() -> None:
    large = replace(
        HEADER,
        header_bytes=1 << 20,
        metadata=replace(
            HEADER.metadata,
            json_size=(1 << 20) - 4096,
            keyslots_size=0,
            keyslots=(),
            digests=(),
            segments=(),
        ),
    )
    raw = Random(1).randbytes(1 << 20) + large.pack_copy(Copy.SECONDARY)
    copies = read_both(raw)
    assert isinstance(copies.primary, BadLuksHeader)
    assert copies.best == large
