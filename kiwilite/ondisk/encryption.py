"""Which authenticated encryption a LUKS2 volume has: names, key and tag lengths.

    --cipher          --integrity  segment integrity  volume key          tag of a sector
    aes-gcm-random    aead         aead               AES 16 or 32        tag 16, IV 12
    aes-xts-plain64   hmac-sha256  hmac(sha256)       XTS 32 or 64, 32    HMAC 32
    aes-xts-random    hmac-sha256  hmac(sha256)       XTS 32 or 64, 32    HMAC 32, IV 16
    aegis128-random   aead         aead               16                  tag 16, IV 16

Lengths in bytes. `--key-size` counts the cipher's key only, in bits; the volume key has the
HMAC's behind it. Source: cryptsetup's LUKS2 on-disk format, and headers it wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError

SECTOR_SIZES: Final = (512, 4096)
HMAC_KEY_BYTES: Final = 32


class UnknownEncryption(KiwiliteError):
    """No such cipher, integrity, key size or sector size, or not in this combination."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """One way to encrypt and authenticate sectors. All sizes in bytes.

    `cipher` and `integrity` are spelled as cryptsetup's options (`aes-gcm-random`, `aead`),
    `segment_integrity` as the LUKS2 header's segment (`hmac(sha256)`). `key_bytes` is the
    whole volume key, `tag_bytes` what dm-integrity stores for a sector: tag, then the IV
    where that is random (`iv_bytes`, else 0).
    """

    cipher: str
    integrity: str
    segment_integrity: str
    key_bytes: int
    tag_bytes: int
    sector_size: int
    iv_bytes: int = 0

    @property
    def offline(self) -> bool:
        """Whether volumes are made with it at build time; checked are all of them."""
        return self.cipher != AEGIS


@dataclass(frozen=True, slots=True)
class _Known:
    """A row of the table above; `key_bits` are the choices of --key-size, the default first."""

    integrity: str
    segment_integrity: str
    key_bits: tuple[int, ...]
    hmac_key: int
    tag_bytes: int
    iv_bytes: int


AEGIS: Final = "aegis128-random"
_KNOWN: Final = {
    "aes-gcm-random": _Known("aead", "aead", (256, 128), 0, 28, 12),
    "aes-xts-plain64": _Known("hmac-sha256", "hmac(sha256)", (512, 256), HMAC_KEY_BYTES, 32, 0),
    "aes-xts-random": _Known("hmac-sha256", "hmac(sha256)", (512, 256), HMAC_KEY_BYTES, 48, 16),
    AEGIS: _Known("aead", "aead", (128,), 0, 32, 16),
}


def encryption(
    cipher: str, integrity: str, sector_size: int, *, key_bits: int | None = None
) -> Encryption:
    """The encryption cryptsetup's options name: --cipher, --integrity, --sector-size, --key-size.

    Without `key_bits` the key has cryptsetup's default length. Raises UnknownEncryption.
    """
    known = _KNOWN.get(cipher)
    if known is None:
        raise UnknownEncryption(
            f"the cipher {cipher} is not known", hint=f"known are {', '.join(_KNOWN)}"
        )
    if integrity != known.integrity:
        raise UnknownEncryption(
            f"the cipher {cipher} does not go with the integrity {integrity}",
            hint=f"use {known.integrity}",
        )
    if sector_size not in SECTOR_SIZES:
        raise UnknownEncryption(f"sectors have 512 or 4096 bytes, not {sector_size}")
    bits = known.key_bits[0] if key_bits is None else key_bits
    if bits not in known.key_bits:
        choices = " or ".join(map(str, known.key_bits))
        raise UnknownEncryption(f"the key of {cipher} has {choices} bits, not {bits}")
    return Encryption(
        cipher=cipher,
        integrity=integrity,
        segment_integrity=known.segment_integrity,
        key_bytes=bits // 8 + known.hmac_key,
        tag_bytes=known.tag_bytes,
        sector_size=sector_size,
        iv_bytes=known.iv_bytes,
    )


def encryption_of_segment(
    cipher: str, segment_integrity: str, sector_size: int, key_bytes: int
) -> Encryption:
    """The encryption a LUKS2 segment names; `key_bytes` is the keyslot's `key_size`.

    Raises UnknownEncryption.
    """
    known = _KNOWN.get(cipher)
    if known is None or known.segment_integrity != segment_integrity:
        raise UnknownEncryption(f"{cipher} with integrity {segment_integrity} is not known")
    bits = (key_bytes - known.hmac_key) * 8
    return encryption(cipher, known.integrity, sector_size, key_bits=bits)
