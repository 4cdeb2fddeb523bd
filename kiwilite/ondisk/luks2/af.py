"""The anti-forensic splitter: a key spread so wide that a lost piece loses all of it.

A key of n bytes becomes `stripes` pieces of n bytes. All but the last are random; the
last is the key XORed with the chain d = H(d XOR piece) over them. H replaces every block
of the hash's length, numbered from 0, by the hash of its number (32 bits, big-endian)
and itself, the last, shorter block by as many bytes of it.

Source: LUKS1 On-Disk Format Specification 1.2.3, section 2.4; LUKS2 names it "luks1".
"""

from __future__ import annotations

import hashlib
from typing import Final

from kiwilite.ondisk.luks2.kdf import check_hash

STRIPES: Final = 4000


def random_bytes(key_bytes: int, stripes: int = STRIPES) -> int:
    """How many random bytes `split` takes."""
    return key_bytes * (stripes - 1)


def split(key: bytes, randomness: bytes, *, hash_name: str = "sha256") -> bytes:
    """The pieces, one after the other: `randomness` (see `random_bytes`) and the last.

    Raises ValueError where `randomness` is not a multiple of the key, UnsupportedLuks
    for an unknown hash.
    """
    if not key or len(randomness) % len(key):
        raise ValueError("the random pieces are not as long as the key")
    return randomness + _xor(_chain(randomness, len(key), hash_name), key)


def merge(pieces: bytes, key_bytes: int, *, hash_name: str = "sha256") -> bytes:
    """The key of `key_bytes` bytes that `split` spread. Raises as `split` does."""
    if key_bytes < 1 or not pieces or len(pieces) % key_bytes:
        raise ValueError("the pieces are not as long as the key")
    last = len(pieces) - key_bytes
    return _xor(_chain(pieces[:last], key_bytes, hash_name), pieces[last:])


def _chain(pieces: bytes, size: int, hash_name: str) -> bytes:
    check_hash(hash_name)
    state = bytes(size)
    for start in range(0, len(pieces), size):
        state = _diffuse(_xor(state, pieces[start : start + size]), hash_name)
    return state


def _diffuse(data: bytes, hash_name: str) -> bytes:
    width = hashlib.new(hash_name).digest_size
    hashed = b"".join(
        hashlib.new(hash_name, number.to_bytes(4, "big") + data[start : start + width]).digest()
        for number, start in enumerate(range(0, len(data), width))
    )
    return hashed[: len(data)]


def _xor(a: bytes, b: bytes) -> bytes:
    return (int.from_bytes(a, "big") ^ int.from_bytes(b, "big")).to_bytes(len(a), "big")
