"""Key derivation functions of LUKS2 keyslots: from a passphrase to a key.

Source: LUKS2 On-Disk Format Specification 1.1.0, section 3.2.1 "keyslots object", kdf;
PBKDF2 is RFC 8018, Argon2 RFC 9106 (version 0x13).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

from kiwilite.errors import KiwiliteError

SALT_BYTES: Final = 32
# What cryptsetup takes at most.
MAX_MEMORY_KIB: Final = 4 * 1024 * 1024
_MAX_ITERATIONS: Final = (1 << 32) - 1
_HASHES: Final = frozenset({"sha1", "sha224", "sha256", "sha384", "sha512", "ripemd160"})


class UnsupportedLuks(KiwiliteError):
    """The header is sound, but asks for something that is not implemented here."""


@dataclass(frozen=True, slots=True)
class Pbkdf2:
    """PBKDF2 with HMAC over `hash` ("sha256"), `iterations` at least 1."""

    hash: str
    iterations: int

    def __post_init__(self) -> None:
        if not 1 <= self.iterations <= _MAX_ITERATIONS:
            raise UnsupportedLuks(f"PBKDF2 with {self.iterations} iterations is not possible")


@dataclass(frozen=True, slots=True)
class Argon2:
    """Argon2: `time` passes over `memory_kib` KiB in `cpus` lanes."""

    variant: Literal["argon2i", "argon2id"]
    time: int
    memory_kib: int
    cpus: int

    def __post_init__(self) -> None:
        if not (1 <= self.time <= _MAX_ITERATIONS and 1 <= self.cpus <= 255):
            raise UnsupportedLuks(f"Argon2 with {self.time} passes in {self.cpus} lanes")
        if not 8 * self.cpus <= self.memory_kib <= MAX_MEMORY_KIB:
            raise UnsupportedLuks(
                f"Argon2 with {self.memory_kib} KiB of memory in {self.cpus} lanes",
                hint=f"8 KiB per lane are the least, {MAX_MEMORY_KIB} KiB the most",
            )


Kdf = Pbkdf2 | Argon2


def derive(kdf: Kdf, passphrase: bytes, salt: bytes, length: int) -> bytes:
    """`length` bytes of key. Raises UnsupportedLuks for a hash or variant not known here."""
    if isinstance(kdf, Pbkdf2):
        return pbkdf2(kdf.hash, passphrase, salt, kdf.iterations, length)
    return _argon2(kdf, passphrase, salt, length)


def pbkdf2(name: str, secret: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """PBKDF2 with HMAC over the hash `name`; raises UnsupportedLuks."""
    check_hash(name)
    return hashlib.pbkdf2_hmac(name, secret, salt, iterations, length)


def check_hash(name: str) -> None:
    """Raises UnsupportedLuks unless `name` is a hash this host has."""
    # OpenSSL may be built, or set up, without the old ones.
    if name not in _HASHES or name not in hashlib.algorithms_available:
        raise UnsupportedLuks(f"the hash {name} is not supported here")


def _argon2(kdf: Argon2, passphrase: bytes, salt: bytes, length: int) -> bytes:
    # Heavy, and old versions of the library have not all variants.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf import argon2

    function = getattr(argon2, "Argon2id" if kdf.variant == "argon2id" else "Argon2i", None)
    if function is None:
        raise UnsupportedLuks(
            f"{kdf.variant} is not in this version of the cryptography library",
            hint="install version 47 or newer, or change the keyslot: cryptsetup luksConvertKey",
        )
    try:
        derived: bytes = function(
            salt=salt,
            length=length,
            iterations=kdf.time,
            lanes=kdf.cpus,
            memory_cost=kdf.memory_kib,
        ).derive(passphrase)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise UnsupportedLuks(f"{kdf.variant}: {error}") from error
    except MemoryError as error:
        raise UnsupportedLuks(
            f"{kdf.variant} needs {kdf.memory_kib} KiB of memory, which this host does not have"
        ) from error
    return derived
