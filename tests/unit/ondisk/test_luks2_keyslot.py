"""From a passphrase to the volume key: splitter, derivation, keyslots, digests, tokens."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luks2_samples import (
    AEGIS,
    ARGON2ID,
    GCM,
    PBKDF2,
    UUID_1,
    VOLUME_KEY,
    XTS_HMAC,
    sample_volume,
)

from kiwilite.ondisk.encryption import Encryption
from kiwilite.ondisk.luks2 import af, kdf, keyslot, tokens, volume
from kiwilite.ondisk.luks2.header import BadLuksHeader, unpack
from kiwilite.ondisk.luks2.jsontree import BadMetadata, Json
from kiwilite.ondisk.luks2.kdf import Argon2, Kdf, Pbkdf2, UnsupportedLuks
from kiwilite.ondisk.luks2.metadata import Token


def reader(raw: bytes) -> volume.ReadArea:
    return lambda offset, size: raw[offset : offset + size]


def unlock(raw: bytes, passphrase: bytes) -> bytes:
    return volume.unlock(unpack(raw), reader(raw), passphrase)


@settings(deadline=None)
@given(
    st.binary(min_size=1, max_size=130),
    st.integers(1, 20),
    st.sampled_from(["sha1", "sha256", "sha512"]),
    st.randoms(use_true_random=False),
)
def test_split_pieces_merge_to_the_key(key: bytes, stripes: int, name: str, random: Random) -> None:
    pieces = af.split(key, random.randbytes(af.random_bytes(len(key), stripes)), hash_name=name)
    assert len(pieces) == len(key) * stripes
    assert af.merge(pieces, len(key), hash_name=name) == key


@given(st.integers(0, 32 * 100 - 1))
def test_one_changed_bit_of_the_pieces_spreads_over_the_key(at: int) -> None:
    """A piece that is lost or remembered wrongly takes the key with it."""
    key = bytes(32)
    pieces = bytearray(af.split(key, Random(1).randbytes(af.random_bytes(32, 100))))
    pieces[at] ^= 1
    merged = int.from_bytes(af.merge(bytes(pieces), 32), "big")
    # the last piece is just XORed
    assert merged.bit_count() == 1 if at >= 32 * 99 else merged.bit_count() > 60


def test_the_splitter_hashes_blocks_with_their_number() -> None:
    """By hand: two pieces of 40 bytes, so that the last block is cut."""
    first = bytes(range(40))
    blocks = (b"\0\0\0\0" + first[:32], b"\0\0\0\1" + first[32:])
    chain = (hashlib.sha256(blocks[0]).digest() + hashlib.sha256(blocks[1]).digest())[:40]
    assert af.split(bytes(40), first) == first + chain


def test_the_pieces_must_fit_the_key() -> None:
    with pytest.raises(ValueError, match="not as long"):
        af.split(bytes(32), bytes(33))
    with pytest.raises(ValueError, match="not as long"):
        af.merge(bytes(33), 32)
    with pytest.raises(UnsupportedLuks, match="whirlpool is not supported"):
        af.merge(bytes(64), 32, hash_name="whirlpool")


def test_pbkdf2_is_that_of_rfc_7914() -> None:
    expected = (
        "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
        "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
    )
    assert kdf.derive(Pbkdf2("sha256", 1), b"passwd", b"salt", 64).hex() == expected


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda: Argon2("argon2id", 1, 8, 4), "8 KiB per lane"),
        (lambda: Argon2("argon2id", 1, 1 << 30, 4), "the most"),
        (lambda: Argon2("argon2id", 0, 64, 4), "0 passes"),
        (lambda: Pbkdf2("sha256", 0), "0 iterations"),
        (lambda: kdf.derive(Pbkdf2("md5", 1), b"", b"", 1), "md5 is not supported"),
        (lambda: kdf.derive(ARGON2ID, b"", b"short", 64), "salt"),
    ],
)
def test_a_derivation_that_is_not_possible_says_why(function: object, message: str) -> None:
    assert callable(function)
    with pytest.raises(UnsupportedLuks) as raised:
        function()
    assert message in str(raised.value)


@pytest.mark.parametrize("variant", ["argon2i", "argon2id"])
def test_a_missing_argon2_variant_is_an_error_with_a_way_out(
    variant: Literal["argon2i", "argon2id"], monkeypatch: pytest.MonkeyPatch
) -> None:
    from cryptography.hazmat.primitives.kdf import argon2

    for name in ("Argon2i", "Argon2id"):
        monkeypatch.delattr(argon2, name)
    with pytest.raises(UnsupportedLuks, match="luksConvertKey"):
        kdf.derive(replace(ARGON2ID, variant=variant), b"", bytes(32), 64)


@pytest.mark.parametrize("encryption", [XTS_HMAC, GCM, AEGIS], ids=lambda e: e.cipher)
@pytest.mark.parametrize("function", [PBKDF2, ARGON2ID], ids=["pbkdf2", "argon2id"])
def test_a_new_volume_opens_with_its_passphrase(encryption: Encryption, function: Kdf) -> None:
    key = Random(2).randbytes(encryption.key_bytes)
    raw = volume.create(
        encryption,
        key,
        [volume.Key("first", b"secret", function)],
        uuid=UUID_1,
        label="lab",
        subsystem="sub",
        randomness=Random(1).randbytes,
    )
    assert unlock(raw, b"secret") == key
    with pytest.raises(volume.WrongPassphrase):
        unlock(raw, b"secret\n")
    header = unpack(raw)
    assert (header.uuid, header.label, header.subsystem) == (UUID_1, "lab", "sub")
    (segment,) = header.metadata.segments
    assert (segment.encryption, segment.sector_size, segment.offset, segment.size) == (
        encryption.cipher, encryption.sector_size, 16 << 20, None
    )  # fmt: skip
    assert segment.integrity
    assert segment.integrity.type == encryption.segment_integrity


@pytest.mark.parametrize(("key_bytes", "area"), [(16, 65536), (32, 131072), (96, 385024)])
def test_keyslot_areas_are_as_large_as_cryptsetups(key_bytes: int, area: int) -> None:
    assert keyslot.area_bytes(key_bytes) == area


def test_the_same_randomness_gives_the_same_bytes() -> None:
    assert sample_volume() == sample_volume()
    assert sample_volume() != sample_volume(randomness=Random(2).randbytes)


def test_every_key_of_several_opens_the_volume_and_has_its_name() -> None:
    raw = sample_volume(
        ("", b"daily", PBKDF2),
        ("recovery", b"in the safe", ARGON2ID),
        ("service", bytes(range(256)), PBKDF2),
    )
    for passphrase in (b"daily", b"in the safe", bytes(range(256))):
        assert unlock(raw, passphrase) == VOLUME_KEY
    metadata = unpack(raw).metadata
    assert tokens.keyslot_names(metadata.tokens) == {1: "recovery", 2: "service"}
    assert [slot.number for slot in metadata.keyslots] == [0, 1, 2]


def test_a_volume_has_at_most_32_keyslots_of_the_right_key() -> None:
    with pytest.raises(ValueError, match="1 to 32 keyslots"):
        sample_volume(*[("", b"x", PBKDF2)] * 33)
    with pytest.raises(ValueError, match="32 bytes"):
        volume.create(
            XTS_HMAC, bytes(32), [("", b"", PBKDF2)],
            uuid=UUID_1, label="", subsystem="", randomness=Random(1).randbytes,
        )  # fmt: skip


def test_a_randomness_that_gives_too_little_is_refused() -> None:
    with pytest.raises((ValueError, BadLuksHeader)):
        sample_volume(randomness=lambda size: bytes(size - 1))


@settings(deadline=None, max_examples=20)
@given(st.integers(32768, 32768 + 384000 - 1))
def test_a_flipped_bit_in_a_keyslots_area_loses_this_keyslot_only(at: int) -> None:
    raw = bytearray(sample_volume(("", b"first", PBKDF2), ("", b"second", PBKDF2)))
    raw[at] ^= 1
    with pytest.raises(volume.WrongPassphrase):
        unlock(bytes(raw), b"first")
    assert unlock(bytes(raw), b"second") == VOLUME_KEY


def test_what_the_pieces_leave_of_an_area_is_zero() -> None:
    raw = sample_volume()
    (slot,) = unpack(raw).metadata.keyslots
    assert slot.material_bytes == 384000
    assert not any(raw[slot.area.offset + slot.material_bytes :])


def test_a_volume_that_ends_before_the_area_does_not_open() -> None:
    with pytest.raises(volume.WrongPassphrase):
        unlock(sample_volume()[:40000], b"first")


def test_a_keyslot_without_a_segment_does_not_open_the_volume() -> None:
    raw = sample_volume()
    header = unpack(raw)
    (digest,) = header.metadata.digests
    unbound = replace(header.metadata, digests=(replace(digest, segments=()),))
    with pytest.raises(volume.WrongPassphrase):
        volume.unlock(replace(header, metadata=unbound), reader(raw), b"first")


@pytest.mark.parametrize(("priority", "opens"), [(None, True), (0, False), (1, True), (2, True)])
def test_a_keyslot_to_be_ignored_is_ignored(priority: int | None, opens: bool) -> None:
    raw = sample_volume()
    header = unpack(raw)
    (slot,) = header.metadata.keyslots
    metadata = replace(header.metadata, keyslots=(replace(slot, priority=priority),))
    header = replace(header, metadata=metadata)
    if opens:
        assert volume.unlock(header, reader(raw), b"first") == VOLUME_KEY
    else:
        with pytest.raises(volume.WrongPassphrase):
            volume.unlock(header, reader(raw), b"first")


def test_an_unknown_cipher_of_the_area_is_named_unless_another_keyslot_opens() -> None:
    raw = sample_volume(("", b"first", PBKDF2), ("", b"second", PBKDF2))
    header = unpack(raw)
    first, second = header.metadata.keyslots
    area = replace(first.area, encryption="serpent-cbc-plain64")
    metadata = replace(header.metadata, keyslots=(replace(first, area=area), second))
    header = replace(header, metadata=metadata)
    assert volume.unlock(header, reader(raw), b"second") == VOLUME_KEY
    with pytest.raises(UnsupportedLuks, match="keyslot 0 is encrypted with serpent-cbc-plain64"):
        volume.unlock(header, reader(raw), b"first")


def test_a_volume_that_is_being_reencrypted_is_not_opened() -> None:
    raw = sample_volume()
    header = unpack(raw)
    metadata = replace(header.metadata, requirements=("online-reencrypt",))
    with pytest.raises(UnsupportedLuks, match="online-reencrypt"):
        volume.unlock(replace(header, metadata=metadata), reader(raw), b"first")


@given(st.lists(st.tuples(st.integers(1, 1 << 40), st.integers(1, 1 << 20)), max_size=20))
def test_written_extents_are_read_again(gaps: list[tuple[int, int]]) -> None:
    extents, end = [], 0
    for gap, count in gaps:
        extents.append((end + gap - 1, count))
        end += gap - 1 + count
    token = tokens.written_token(3, extents)
    assert tokens.written_extents([tokens.name_token(0, 0, "a"), token]) == tuple(extents)


def test_written_extents_keep_the_form_the_boot_hook_reads() -> None:
    raw = sample_volume(tokens=[tokens.written_token(0, [(0, 1040), (19200, 32)])])
    text = raw[4096:16384].rstrip(b"\0").decode()
    shown = '{"type":"kiwilite-written","keyslots":[],"extents":["0 1040","19200 32"]}'
    assert f'"tokens":{{"0":{shown}}}' in text
    assert tokens.written_extents(unpack(raw).metadata.tokens) == ((0, 1040), (19200, 32))
    assert tokens.written_extents(()) is None


@pytest.mark.parametrize(
    "extents", [["1 0"], ["5 5", "9 1"], ["1"], ["a b"], [1], ["-1 5"], ["1 1 1"], "1 1", None]
)
def test_extents_out_of_order_are_an_error(extents: Json) -> None:
    with pytest.raises(BadMetadata):
        tokens.written_extents([Token(0, "kiwilite-written", (), {"extents": extents})])


def test_two_lists_of_extents_are_an_error() -> None:
    with pytest.raises(BadMetadata, match="twice"):
        tokens.written_extents([tokens.written_token(n, [(0, 1)]) for n in range(2)])
