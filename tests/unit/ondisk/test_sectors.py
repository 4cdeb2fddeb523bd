"""Sectors against the definition in other words, and what damage to them gives."""

from __future__ import annotations

import hashlib
import hmac
import os
from itertools import count

import plain_aegis
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk.encryption import Encryption, encryption
from kiwilite.ondisk.sectors import (
    BAD,
    GOOD,
    UNWRITTEN,
    NoSectorCipher,
    SectorCipher,
    sector_cipher,
)

KINDS = [
    encryption(cipher, integrity, size, key_bits=bits)
    for cipher, integrity, both in (
        ("aes-gcm-random", "aead", (256, 128)),
        ("aes-xts-plain64", "hmac-sha256", (512, 256)),
        ("aes-xts-random", "hmac-sha256", (512, 256)),
        ("aegis128-random", "aead", (128,)),
    )
    for bits in both
    for size in (4096, 512)
]
each_kind = pytest.mark.parametrize(
    "kind", KINDS, ids=lambda k: f"{k.cipher}-{k.key_bytes}-{k.sector_size}"
)


def repeatable(length: int) -> bytes:
    """Something in place of random bytes, the same each time."""
    blocks = (hashlib.sha256(n.to_bytes(8, "big")).digest() for n in count())
    return b"".join(next(blocks) for _ in range(-(-length // 32)))[:length]


def cipher_of(kind: Encryption) -> SectorCipher:
    return sector_cipher(kind, bytes(range(kind.key_bytes)))


def by_definition(kind: Encryption, key: bytes, x: int, plain: bytes, iv: bytes) -> bytes:
    """Ciphertext and tag of one sector, by other means than the code under test."""
    place = x.to_bytes(8, "little")
    if kind.cipher == "aegis128-random":
        data, tag = plain_aegis.encrypted(key, iv, place + iv, plain)
        return data + tag + iv
    if kind.cipher == "aes-gcm-random":
        sealed = AESGCM(key).encrypt(iv, plain, place + iv)
        return sealed + iv
    tweak = iv or place.ljust(16, b"\0")
    encryptor = Cipher(algorithms.AES(key[:-32]), modes.XTS(tweak)).encryptor()
    data = encryptor.update(plain) + encryptor.finalize()
    return data + hmac.digest(key[-32:], place + tweak + data, "sha256") + iv


@each_kind
def test_a_sector_is_what_the_definition_says(kind: Encryption) -> None:
    size, width, n = kind.sector_size, kind.tag_bytes, 5
    plain = os.urandom(n * size)
    first = 1 << 33
    data, tags = cipher_of(kind).seal(first, plain, repeatable)
    ivs = repeatable(n * kind.iv_bytes)
    for number in range(n):
        iv = ivs[number * kind.iv_bytes : (number + 1) * kind.iv_bytes]
        x = first + number * (size // 512)
        expected = by_definition(
            kind, bytes(range(kind.key_bytes)), x, plain[number * size : (number + 1) * size], iv
        )
        found = bytes(data[number * size : (number + 1) * size])
        assert found + tags[number * width : (number + 1) * width] == expected


def test_these_sectors_stay_as_they_are() -> None:
    """Fixed digests: of zeros at sector 8, under the key 0, 1, 2, ..."""
    digests = {}
    for kind in KINDS:
        data, tags = cipher_of(kind).seal(8, bytes(2 * kind.sector_size), repeatable)
        name = f"{kind.cipher} {kind.key_bytes} {kind.sector_size}"
        digests[name] = hashlib.sha256(bytes(data) + tags).hexdigest()[:16]
    assert digests == FIXED


FIXED = {
    "aes-gcm-random 32 4096": "489562d4d07bbcb2",
    "aes-gcm-random 32 512": "ac469545a71f3adf",
    "aes-gcm-random 16 4096": "f871fd9281f279ae",
    "aes-gcm-random 16 512": "ff1dc0726c41a15b",
    "aes-xts-plain64 96 4096": "ffb56d89ee10c598",
    "aes-xts-plain64 96 512": "5757bb16ea595543",
    "aes-xts-plain64 64 4096": "c12822637fdf80d6",
    "aes-xts-plain64 64 512": "65a009b311e9e6fa",
    "aes-xts-random 96 4096": "b193fcf4ffdc129d",
    "aes-xts-random 96 512": "576783cb95da40e9",
    "aes-xts-random 64 4096": "07aa0a5d2ba4a5b1",
    "aes-xts-random 64 512": "b197020efaa42793",
    "aegis128-random 16 4096": "5ef490161880a3f7",
    "aegis128-random 16 512": "acb40e72d14b5aa3",
}


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, (1 << 50) - 1), st.integers(1, 6), st.randoms())
def test_what_is_sealed_opens_again(
    kind: Encryption, first: int, sectors: int, random: object
) -> None:
    plain = os.urandom(sectors * kind.sector_size)
    cipher = cipher_of(kind)
    data, tags = cipher.seal(first, plain, os.urandom)
    assert (len(data), len(tags)) == (len(plain), sectors * kind.tag_bytes)
    opened, states = cipher.open(first, data, tags)
    assert bytes(opened) == plain
    assert states == cipher.check(first, data, tags) == bytes(sectors)


@each_kind
def test_one_flipped_bit_spoils_its_sector_and_no_other(kind: Encryption) -> None:
    cipher, n, spoiled = cipher_of(kind), 4, 2
    size, width = kind.sector_size, kind.tag_bytes
    plain = os.urandom(n * size)
    sealed, sealed_tags = cipher.seal(0, plain, os.urandom)
    expected = [GOOD, GOOD, BAD, GOOD]
    for bit in (0, 8 * size - 1, *range(7, 8 * size, 8 * size // 5)):
        data = bytearray(sealed)
        data[spoiled * size + bit // 8] ^= 1 << bit % 8
        assert list(cipher.check(0, data, sealed_tags)) == expected
        opened, states = cipher.open(0, data, sealed_tags)
        assert list(states) == expected
        assert opened[spoiled * size : (spoiled + 1) * size] == bytes(size)
        assert opened[: 2 * size] == plain[: 2 * size]
    for byte in range(width):  # the tag, and the IV behind it
        tags = bytearray(sealed_tags)
        tags[spoiled * width + byte] ^= 16
        assert list(cipher.check(0, sealed, tags)) == expected
        assert list(cipher.open(0, sealed, tags)[1]) == expected


@each_kind
def test_sectors_that_changed_places_are_both_bad(kind: Encryption) -> None:
    cipher, size, width = cipher_of(kind), kind.sector_size, kind.tag_bytes
    data, tags = cipher.seal(64, os.urandom(2 * size), os.urandom)
    swapped = bytes(data[size:]) + bytes(data[:size])
    assert list(cipher.check(64, swapped, tags[width:] + tags[:width])) == [BAD, BAD]


@each_kind
def test_another_key_opens_nothing(kind: Encryption) -> None:
    data, tags = cipher_of(kind).seal(0, bytes(kind.sector_size), os.urandom)
    other = sector_cipher(kind, os.urandom(kind.key_bytes))
    assert list(other.check(0, data, tags)) == [BAD]


@each_kind
def test_what_was_never_written_is_told_from_what_was_damaged(kind: Encryption) -> None:
    cipher, size, width = cipher_of(kind), kind.sector_size, kind.tag_bytes
    data, tags = bytearray(3 * size), bytearray(3 * width)
    data[size + 5] = 1
    tags[2 * width + 1] = 1
    assert list(cipher.check(0, data, tags)) == [UNWRITTEN, BAD, BAD]
    assert list(cipher.open(0, data, tags)[1]) == [UNWRITTEN, BAD, BAD]


def test_random_ivs_make_equal_sectors_differ() -> None:
    for kind in (k for k in KINDS if k.iv_bytes):
        plain = bytes(kind.sector_size)
        sealed = [bytes(cipher_of(kind).seal(0, plain, os.urandom)[0]) for _ in range(2)]
        assert sealed[0] != sealed[1]


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(NoSectorCipher, match="31 bytes"):
        sector_cipher(KINDS[0], bytes(31))
