"""Keyslots and digests: the volume key, wrapped by a passphrase, and how it is recognised.

    passphrase --kdf--> key of the area --aes-xts-plain64--> pieces --merge--> volume key

The area's sectors of 512 bytes are numbered from 0 (the XTS tweak, 64 bits little-endian).
A wrong passphrase gives a wrong volume key; only the digest tells them apart.

Source: LUKS2 On-Disk Format Specification 1.1.0, sections 3.2 and 3.4 and 4.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from kiwilite.ondisk.luks2 import af
from kiwilite.ondisk.luks2.kdf import Kdf, UnsupportedLuks, derive, pbkdf2
from kiwilite.ondisk.luks2.metadata import Area, Digest, Keyslot

Randomness = Callable[[int], bytes]
"""Gives as many random bytes as asked for: `os.urandom`, or a test's own."""

AREA_CIPHER: Final = "aes-xts-plain64"
AREA_KEY_BYTES: Final = 64
SALT_BYTES: Final = 32
DIGEST_BYTES: Final = 32
_SECTOR: Final = 512
_ALIGNMENT: Final = 4096


def area_bytes(key_bytes: int) -> int:
    """The size of the area for a volume key of `key_bytes`, a multiple of 4096 bytes."""
    return -(-key_bytes * af.STRIPES // _ALIGNMENT) * _ALIGNMENT


def wrap(
    volume_key: bytes,
    passphrase: bytes,
    kdf: Kdf,
    *,
    number: int,
    offset: int,
    randomness: Randomness,
) -> tuple[Keyslot, bytes]:
    """Keyslot `number` with its area at byte `offset` of the header, and the area's bytes.

    Takes from `randomness` the salt (32 bytes), then the pieces but the last. The area is
    a multiple of 4096 bytes; what the pieces leave of it is zero. Raises UnsupportedLuks.
    """
    salt = _take(randomness, SALT_BYTES)
    pieces = af.split(volume_key, _take(randomness, af.random_bytes(len(volume_key))))
    slot = Keyslot(
        number=number,
        key_size=len(volume_key),
        kdf=kdf,
        salt=salt,
        area=Area(offset, area_bytes(len(volume_key)), AREA_CIPHER, AREA_KEY_BYTES),
        stripes=af.STRIPES,
        af_hash="sha256",
    )
    key = derive(kdf, passphrase, salt, AREA_KEY_BYTES)
    sealed = _xts(key, pieces.ljust(slot.material_bytes, b"\0"), encrypt=True)
    return slot, sealed.ljust(slot.area.size, b"\0")


def unwrap(slot: Keyslot, area: bytes, passphrase: bytes) -> bytes:
    """What `passphrase` makes of a keyslot's area: the volume key, if it is the right one.

    `area` has `slot.material_bytes` bytes or more. Raises UnsupportedLuks for other
    ciphers than aes-xts-plain64, and ValueError for an area that is too short.
    """
    if slot.area.encryption != AREA_CIPHER or slot.area.key_size not in {32, 64}:
        raise UnsupportedLuks(
            f"keyslot {slot.number} is encrypted with {slot.area.encryption}"
            f" and {slot.area.key_size * 8} bits, only {AREA_CIPHER} is supported"
        )
    if len(area) < slot.material_bytes:
        raise ValueError("the keyslot's area is too short")
    key = derive(slot.kdf, passphrase, slot.salt, slot.area.key_size)
    pieces = _xts(key, area[: slot.material_bytes], encrypt=False)
    used = slot.key_size * slot.stripes
    return af.merge(pieces[:used], slot.key_size, hash_name=slot.af_hash)


def make_digest(
    volume_key: bytes,
    *,
    keyslots: tuple[int, ...],
    segments: tuple[int, ...],
    iterations: int,
    randomness: Randomness,
) -> Digest:
    """Digest 0 of `volume_key`; takes a salt of 32 bytes from `randomness`.

    A key drawn at random cannot be guessed, however few the iterations; cryptsetup's
    least is 1000.
    """
    salt = _take(randomness, SALT_BYTES)
    value = pbkdf2("sha256", volume_key, salt, iterations, DIGEST_BYTES)
    return Digest(0, keyslots, segments, "sha256", iterations, salt, value)


def matches(digest: Digest, volume_key: bytes) -> bool:
    """Whether `volume_key` is the key of this digest. Raises UnsupportedLuks."""
    length = len(digest.digest)
    value = pbkdf2(digest.hash, volume_key, digest.salt, digest.iterations, length)
    return hmac.compare_digest(value, digest.digest)


def _take(randomness: Randomness, size: int) -> bytes:
    data = randomness(size)
    if len(data) != size:
        raise ValueError(f"asked for {size} random bytes, got {len(data)}")
    return data


def _xts(key: bytes, data: bytes, *, encrypt: bool) -> bytes:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    algorithm = algorithms.AES(key)
    done = []
    for number in range(len(data) // _SECTOR):
        cipher = Cipher(algorithm, modes.XTS(number.to_bytes(16, "little")))
        context = cipher.encryptor() if encrypt else cipher.decryptor()
        done.append(context.update(data[number * _SECTOR : (number + 1) * _SECTOR]))
    return b"".join(done)
