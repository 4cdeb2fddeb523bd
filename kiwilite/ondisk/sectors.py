"""Encryption and authentication of single sectors, as dm-crypt does it on dm-integrity.

x is a logical sector's number in units of 512 bytes, for sectors of 4096 bytes too (then it
goes in steps of 8):

    aes-gcm-random    AES-GCM, random IV of 12 bytes, additional data le64(x) || IV
                      stored tag: tag[16] || IV
    aes-xts-plain64   AES-XTS, tweak IV = le64(x) || 0[8]
    hmac(sha256)      stored tag: HMAC-SHA256 over le64(x) || IV[16] || ciphertext
    aes-xts-random    the same with a random IV of 16 bytes, stored behind the HMAC
    aegis128-random   AEGIS-128, random IV of 16 bytes, additional data and stored tag as GCM's

A tag binds a sector to its place, so that swapped sectors show; it cannot tell a sector
from an older state of itself. Sources: Documentation/admin-guide/device-mapper/dm-crypt.rst
of Linux; compared with volumes that kernels 6.1 and 6.12 wrote.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.encryption import AEGIS, HMAC_KEY_BYTES, Encryption

UNIT: Final = 512
GCM_TAG: Final = 16
XTS_IV: Final = 16
HMAC_BYTES: Final = 32

GOOD: Final = 0
BAD: Final = 1
UNWRITTEN: Final = 2
"""What becomes of a sector that is read: it is sound, it fails its check (the kernel answers
EILSEQ), or neither data nor tag was ever written (EILSEQ too, but nothing is lost)."""

Buffer = bytes | bytearray | memoryview
Randomness = Callable[[int], bytes]
"""Gives so many random bytes: os.urandom, or something repeatable in tests."""


class NoSectorCipher(KiwiliteError):
    """Sectors cannot be encrypted or checked with this key."""


@dataclass(frozen=True, slots=True)
class SectorCipher:
    """Encrypts and checks runs of sectors. `first` is the run's x; data is whole sectors.

    `seal(first, plain, randomness)` gives ciphertext and tags, both without gaps.
    `check(first, ciphertext, tags)` gives a state (GOOD, BAD or UNWRITTEN) for each sector;
    `open` does the same and gives the plain text as well, zeros where a sector is not good.
    """

    encryption: Encryption
    seal: Callable[[int, Buffer, Randomness], tuple[memoryview, bytearray]]
    check: Callable[[int, Buffer, Buffer], bytearray]
    open: Callable[[int, Buffer, Buffer], tuple[bytearray, bytearray]]


def sector_cipher(encryption: Encryption, key: bytes) -> SectorCipher:
    """The functions for a volume with this encryption and volume key. Raises NoSectorCipher."""
    if len(key) != encryption.key_bytes:
        raise NoSectorCipher(
            f"the volume key has {len(key)} bytes, {encryption.cipher} needs {encryption.key_bytes}"
        )
    if encryption.cipher == "aes-gcm-random":
        return _gcm(encryption, key)
    if encryption.cipher == AEGIS:
        return _aegis(encryption, key)
    return _xts_hmac(encryption, key)


def _gcm(encryption: Encryption, key: bytes) -> SectorCipher:
    aead = AESGCM(key)
    size, step, width = encryption.sector_size, encryption.sector_size // UNIT, encryption.tag_bytes
    iv_bytes = encryption.iv_bytes

    def seal(first: int, plain: Buffer, randomness: Randomness) -> tuple[memoryview, bytearray]:
        source, count = memoryview(plain), len(plain) // size
        # The tag that encrypt_into leaves behind each sector is overwritten by the next one.
        out = memoryview(bytearray(len(plain) + GCM_TAG))
        ivs, tags = randomness(count * iv_bytes), bytearray(count * width)
        encrypt, x, at = aead.encrypt_into, first, 0
        for number in range(count):
            iv = ivs[number * iv_bytes : (number + 1) * iv_bytes]
            behind = at + size
            encrypt(
                iv,
                source[at:behind],
                x.to_bytes(8, "little") + iv,
                out[at : behind + GCM_TAG],
            )
            place = number * width
            tags[place : place + width] = bytes(out[behind : behind + GCM_TAG]) + iv
            at, x = behind, x + step
        return out[:-GCM_TAG], tags

    def opened(first: int, data: Buffer, tags: Buffer) -> tuple[bytearray, bytearray]:
        source, plain = memoryview(data), bytearray(len(data))
        states, out = bytearray(len(data) // size), memoryview(plain)
        for number in range(len(states)):
            tag = bytes(tags[number * width : (number + 1) * width])
            at = number * size
            sector, iv = source[at : at + size], tag[GCM_TAG:]
            aad = (first + number * step).to_bytes(8, "little") + iv
            try:
                aead.decrypt_into(iv, b"".join((sector, tag[:GCM_TAG])), aad, out[at : at + size])
            except InvalidTag:
                out[at : at + size] = bytes(size)
                states[number] = _why(tag, sector)
        return plain, states

    return SectorCipher(encryption, seal, lambda *run: opened(*run)[1], opened)


def _why(tag: bytes, sector: memoryview) -> int:
    """What it means that a sector fails its check."""
    return BAD if any(tag) or bytes(sector) != bytes(len(sector)) else UNWRITTEN


def _xts_hmac(encryption: Encryption, key: bytes) -> SectorCipher:
    aes = algorithms.AES(key[:-HMAC_KEY_BYTES])
    keyed = HMAC(key[-HMAC_KEY_BYTES:], hashes.SHA256())
    size, step, width = encryption.sector_size, encryption.sector_size // UNIT, encryption.tag_bytes
    iv_bytes = encryption.iv_bytes

    def authenticate(x: int, iv: bytes, sector: memoryview) -> bytes:
        state = keyed.copy()
        state.update(x.to_bytes(8, "little") + iv)
        state.update(sector)
        return state.finalize()

    def seal(first: int, plain: Buffer, randomness: Randomness) -> tuple[memoryview, bytearray]:
        source, count = memoryview(plain), len(plain) // size
        # update_into wants room for a block more than it writes.
        out, tags = memoryview(bytearray(len(plain) + XTS_IV)), bytearray(count * width)
        ivs, x = randomness(count * iv_bytes) if iv_bytes else b"", first
        for number in range(count):
            own = ivs[number * iv_bytes : (number + 1) * iv_bytes]
            iv, at = own or x.to_bytes(XTS_IV, "little"), number * size
            encryptor = Cipher(aes, modes.XTS(iv)).encryptor()
            encryptor.update_into(source[at : at + size], out[at : at + size + XTS_IV])
            tag = authenticate(x, iv, out[at : at + size])
            tags[number * width : (number + 1) * width] = tag + own
            x += step
        return out[:-XTS_IV], tags

    def run(first: int, data: Buffer, tags: Buffer, into: memoryview | None) -> bytearray:
        source = memoryview(data)
        states = bytearray(len(data) // size)
        for number in range(len(states)):
            stored = bytes(tags[number * width : (number + 1) * width])
            x, at = first + number * step, number * size
            sector = source[at : at + size]
            iv = stored[HMAC_BYTES:] or x.to_bytes(XTS_IV, "little")
            if not hmac.compare_digest(authenticate(x, iv, sector), stored[:HMAC_BYTES]):
                states[number] = _why(stored, sector)
            elif into is not None:
                into[at : at + size] = Cipher(aes, modes.XTS(iv)).decryptor().update(sector)
        return states

    def checked(first: int, data: Buffer, tags: Buffer) -> bytearray:
        return run(first, data, tags, None)

    def opened(first: int, data: Buffer, tags: Buffer) -> tuple[bytearray, bytearray]:
        plain = bytearray(len(data))
        return plain, run(first, data, tags, memoryview(plain))

    return SectorCipher(encryption, seal, checked, opened)


def _aegis(encryption: Encryption, key: bytes) -> SectorCipher:
    import numpy as np

    from kiwilite.ondisk import aegis

    size, step, width = encryption.sector_size, encryption.sector_size // UNIT, encryption.tag_bytes

    def additional(first: int, ivs: aegis.Bytes) -> aegis.Bytes:
        numbers = np.arange(len(ivs), dtype="<u8") * step + first
        return np.hstack((numbers.view(np.uint8).reshape(-1, 8), ivs))

    def seal(first: int, plain: Buffer, randomness: Randomness) -> tuple[memoryview, bytearray]:
        rows = np.frombuffer(plain, np.uint8).reshape(-1, size)
        ivs = np.frombuffer(randomness(len(rows) * encryption.iv_bytes), np.uint8)
        ivs = ivs.reshape(len(rows), -1)
        sealed = aegis.encrypted(key, ivs, additional(first, ivs), rows)
        tags = bytearray(np.hstack((sealed.tags, ivs)).tobytes())
        return memoryview(sealed.text.tobytes()), tags

    def opened(first: int, data: Buffer, tags: Buffer) -> tuple[bytearray, bytearray]:
        source, stored = memoryview(data), np.frombuffer(tags, np.uint8).reshape(-1, width)
        rows = np.frombuffer(data, np.uint8).reshape(-1, size)
        ivs = stored[:, -encryption.iv_bytes :]
        found = aegis.decrypted(key, ivs, additional(first, ivs), rows)
        plain, states = bytearray(found.text.tobytes()), bytearray(len(rows))
        wrong = (found.tags != stored[:, : -encryption.iv_bytes]).any(axis=1)
        for number in map(int, np.flatnonzero(wrong)):
            at = number * size
            plain[at : at + size] = bytes(size)
            states[number] = _why(stored[number].tobytes(), source[at : at + size])
        return plain, states

    return SectorCipher(encryption, seal, lambda *run: opened(*run)[1], opened)
