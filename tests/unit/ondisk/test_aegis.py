"""AEGIS-128 against vectors of its authors and others, and a second implementation."""

from __future__ import annotations

import os
import random

import numpy as np
import plain_aegis
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import aegis

ZERO = "00" * 16
# Key, IV, additional data, plain text, ciphertext, tag. The first four are in the paper, the
# others were handed in with the cipher at the CAESAR competition.
VECTORS = [
    (ZERO, ZERO, "", ZERO, "951b050fa72b1a2fc16d2e1f01b07d7e", "a7d2a99773249542f422217ee888d5f1"),
    (ZERO, ZERO, ZERO, ZERO,
     "10b0dee65a97d751205c128a992473a1", "46dcb9ee93c46cf13731d41b9646c131"),
    ("0001" + "00" * 14, "00000200" + "00" * 12, "00010203", ZERO,
     "2b78f5c1618da39afbb2920f5dae02b0", "74759cd0e19314650d6c635b563d80fd"),
    ("1001" + "00" * 14, "10000200" + "00" * 12, bytes(range(8)).hex(), bytes(range(32)).hex(),
     "e08ec10685d63c7364eca78ff6e1a1ddfdfc15d5311a7f2988a0471a13973fd7",
     "27e84b6c4cc46cb6ece8f1f3e4aa0e78"),
    (ZERO, ZERO, "", "", "", "242d8006b64d87c36cb35714af7121f9"),
    (ZERO, ZERO, "01", "", "", "fb43fc8f4fe485e1824384dc1cc6930d"),
    ("01" * 16, "01" * 16, "01" * 16, "01" * 16,
     "d48151ffb81b297ea5c739ead4a7f1e9", "929f4674a8a3cea123b5246cfe978a77"),
    (bytes(range(16)).hex(), bytes(range(0, 48, 3)).hex(), "01" * 16, "01" * 16,
     "66d71d9d0b10f3ad3b4074ec8d6829f0", "e0b479e968258e4c993e5b4900493a7d"),
]  # fmt: skip


def rows(*messages: bytes) -> aegis.Bytes:
    return np.frombuffer(b"".join(messages), np.uint8).reshape(len(messages), -1)


def one(raw: bytes) -> aegis.Bytes:
    return np.frombuffer(raw, np.uint8).reshape(1, len(raw))


@pytest.mark.parametrize("vector", VECTORS)
def test_published_vectors_come_out(vector: tuple[str, ...]) -> None:
    key, iv, additional, plain, cipher, tag = map(bytes.fromhex, vector)
    sealed = aegis.encrypted(key, one(iv), one(additional), one(plain))
    assert (sealed.text.tobytes(), sealed.tags.tobytes()) == (cipher, tag)
    opened = aegis.decrypted(key, one(iv), one(additional), one(cipher))
    assert (opened.text.tobytes(), opened.tags.tobytes()) == (plain, tag)
    assert plain_aegis.encrypted(key, iv, additional, plain) == (cipher, tag)


def test_the_other_implementation_s_round_is_that_of_aes() -> None:
    """All ten rounds under the key 0, whose schedule is made here, against a library's AES."""
    key, keys, constant = bytes(16), [], 1
    for _ in range(10):
        turned = bytes(plain_aegis.S_BOX[n] for n in (*key[13:], key[12]))
        word = plain_aegis.xor(key[:4], turned, bytes([constant, 0, 0, 0]))
        schedule = [word]
        for at in (4, 8, 12):
            schedule.append(plain_aegis.xor(schedule[-1], key[at : at + 4]))
        key, constant = b"".join(schedule), plain_aegis.product(constant, 2)
        keys.append(key)
    block = os.urandom(16)
    ours = block
    for round_key in keys[:-1]:
        ours = plain_aegis.aes_round(ours, round_key)
    ours = plain_aegis.xor(plain_aegis.shifted(ours), keys[-1])
    encryptor = Cipher(algorithms.AES(bytes(16)), modes.ECB()).encryptor()
    assert ours == encryptor.update(block)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(0, 5), st.integers(0, 40), st.integers(0, 1 << 32))
def test_many_messages_at_once_are_what_they_are_one_by_one(
    count: int, blocks: int, additional: int, seed: int
) -> None:
    draw = random.Random(seed).randbytes
    key = draw(16)
    ivs, more, plain = (
        [draw(length) for _ in range(count)] for length in (16, additional, 16 * blocks)
    )
    sealed = aegis.encrypted(
        key,
        rows(*ivs),
        np.frombuffer(b"".join(more), np.uint8).reshape(count, additional),
        np.frombuffer(b"".join(plain), np.uint8).reshape(count, 16 * blocks),
    )
    for number in range(count):
        expected = plain_aegis.encrypted(key, ivs[number], more[number], plain[number])
        found = sealed.text[number].tobytes(), sealed.tags[number].tobytes()
        assert found == expected


@settings(max_examples=40, deadline=None)
@given(st.integers(0, (16 + 24 + 64 + 16) * 8 - 1), st.integers(0, 1 << 32))
def test_a_flipped_bit_anywhere_gives_another_tag(bit: int, seed: int) -> None:
    """In the IV, the additional data, the ciphertext, or the tag that is compared."""
    draw = random.Random(seed).randbytes
    key, iv, additional, plain = draw(16), draw(16), draw(24), draw(64)
    sealed = aegis.encrypted(key, one(iv), one(additional), one(plain))
    message = bytearray(iv + additional + sealed.text.tobytes() + sealed.tags.tobytes())
    message[bit // 8] ^= 1 << bit % 8
    raw = bytes(message)
    opened = aegis.decrypted(key, one(raw[:16]), one(raw[16:40]), one(raw[40:104]))
    assert opened.tags.tobytes() != raw[104:]


def test_what_is_given_stays_as_it_is() -> None:
    plain = one(bytes(32))
    aegis.encrypted(bytes(16), one(bytes(16)), one(b""), plain)
    aegis.decrypted(bytes(16), one(bytes(16)), one(b""), plain)
    assert not plain.any()
