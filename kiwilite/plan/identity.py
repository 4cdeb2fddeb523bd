"""Names that must be the same on every build: UUIDs, salts, volume ids, derived from a seed.

Everything comes from UUIDv5 (RFC 9562, section 5.5) or SHA-256 over the image's name and
what the value is for; two images of different names share nothing.
"""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid5

_NAMESPACE = UUID("6f1f2b0e-6a3c-5f0e-9a53-1d2a7b6e4c11")


def derived_uuid(seed: str, purpose: str) -> UUID:
    """A stable UUID for one purpose of the image `seed` stands for."""
    return uuid5(_NAMESPACE, f"{seed}\0{purpose}")


def derived_hex(seed: str, purpose: str, length: int) -> str:
    """`length` bytes as hexadecimal text; at most 32. For salts: public values."""
    digest = hashlib.sha256(f"{_NAMESPACE}\0{seed}\0{purpose}".encode()).hexdigest()
    return digest[: length * 2]


def derived_volume_id(seed: str, purpose: str) -> int:
    """A FAT volume serial number (32 bits)."""
    return int(derived_hex(seed, purpose, 4), 16)
