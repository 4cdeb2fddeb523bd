"""Headers and volumes to test with: small costs, known randomness."""

from __future__ import annotations

import hashlib
from random import Random
from uuid import UUID

from hypothesis import strategies as st

from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.luks2 import volume
from kiwilite.ondisk.luks2.header import HEADER_SIZES, LuksHeader
from kiwilite.ondisk.luks2.kdf import Argon2, Kdf, Pbkdf2
from kiwilite.ondisk.luks2.metadata import (
    Area,
    Digest,
    Keyslot,
    Metadata,
    Segment,
    SegmentIntegrity,
    Token,
)

UUID_1 = UUID("6a1f5d0e-3c1b-4f2a-9d8e-0b7c6a5d4e3f")
PBKDF2 = Pbkdf2("sha256", 1000)
ARGON2ID = Argon2("argon2id", 1, 64, 2)
XTS_HMAC = encryption("aes-xts-plain64", "hmac-sha256", 4096)
GCM = encryption("aes-gcm-random", "aead", 512)
AEGIS = encryption("aegis128-random", "aead", 4096)
VOLUME_KEY = bytes(range(96))


def sample_volume(*keys: tuple[str, bytes, Kdf], **changes: object) -> bytes:
    """What `volume.create` makes of VOLUME_KEY; one key, "first", unless told otherwise."""
    arguments: dict[str, object] = {
        "uuid": UUID_1,
        "label": "lab",
        "subsystem": "kiwilite-ready",
        "randomness": Random(1).randbytes,
        **changes,
    }
    return volume.create(
        XTS_HMAC,
        VOLUME_KEY,
        keys or [("", b"first", PBKDF2)],
        **arguments,  # type: ignore[arg-type]
    )


def with_json(raw: bytes, text: bytes) -> bytes:
    """Both copies of a header with this JSON, checksums made right."""
    copies = []
    for start in (0, 16384):
        copy = bytearray(raw[start : start + 4096] + text.ljust(12288, b"\0"))
        copy[448:512] = bytes(64)
        copy[448:480] = hashlib.sha256(copy).digest()
        copies.append(bytes(copy))
    return b"".join(copies)


_salts = st.binary(min_size=8, max_size=64)
_texts = st.text(max_size=20)
_kdfs: st.SearchStrategy[Kdf] = st.one_of(
    st.builds(Pbkdf2, st.sampled_from(["sha256", "sha512"]), st.integers(1, (1 << 31) - 1)),
    st.builds(
        Argon2,
        st.sampled_from(["argon2i", "argon2id"]),
        st.integers(1, 1000),
        st.integers(64, 4 << 20),
        st.integers(1, 8),
    ),
)
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), _texts),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=5,
)


@st.composite
def headers(draw: st.DrawFn) -> LuksHeader:
    """Any header that is valid."""
    size = draw(st.sampled_from(HEADER_SIZES[:4]))
    keyslots_size = draw(st.integers(0, 40)) * 1 << 20
    slots = _keyslots(draw, 2 * size, keyslots_size)
    numbers = st.lists(st.sampled_from([slot.number for slot in slots]), unique=True).map(tuple)
    chosen = numbers if slots else st.just(())
    metadata = Metadata(
        keyslots=slots,
        tokens=tuple(
            Token(
                number,
                draw(_texts),
                draw(chosen),
                draw(st.dictionaries(_texts.filter(lambda t: t not in {"type", "keyslots"}), _json,
                                     max_size=2)),
            )
            for number in range(draw(st.integers(0, 3)))
        ),
        segments=(draw(_segments(2 * size + keyslots_size)),),
        digests=(
            Digest(
                0,
                draw(chosen),
                draw(st.sampled_from([(), (0,)])),
                "sha256",
                draw(st.integers(1, 1 << 30)),
                draw(_salts),
                draw(st.binary(min_size=16, max_size=64)),
            ),
        ),
        json_size=size - 4096,
        keyslots_size=keyslots_size,
        flags=draw(st.sampled_from([(), ("allow-discards",)])),
        requirements=draw(st.sampled_from([(), ("online-reencrypt-v2",)])),
    )  # fmt: skip
    labels = _texts.filter(lambda text: "\0" not in text and len(text.encode()) < 48)
    return LuksHeader(
        draw(st.uuids()),
        draw(labels),
        draw(labels),
        draw(st.integers(1, (1 << 64) - 1)),
        draw(st.binary(min_size=64, max_size=64)),
        metadata,
        size,
        draw(st.sampled_from(["sha256", "sha512"])),
    )


def _keyslots(draw: st.DrawFn, offset: int, space: int) -> tuple[Keyslot, ...]:
    slots = []
    end = offset + space
    for number in draw(st.permutations(range(5))):
        key_size = draw(st.sampled_from([16, 32, 64, 96]))
        area = -(-key_size * 4000 // 4096) * 4096 + draw(st.integers(0, 3)) * 4096
        if offset + area > end:
            break
        cipher = draw(st.sampled_from(["aes-xts-plain64", "serpent-cbc-plain64"]))
        slots.append(
            Keyslot(
                number,
                key_size,
                draw(_kdfs),
                draw(_salts),
                Area(offset, area, cipher, draw(st.sampled_from([32, 64]))),
                4000,
                "sha256",
                draw(st.sampled_from([None, 0, 1, 2])),
            )
        )
        offset += area
    return tuple(slots)


def _segments(first: int) -> st.SearchStrategy[Segment]:
    return st.builds(
        Segment,
        number=st.just(0),
        offset=st.integers(first, 1 << 40),
        size=st.none() | st.integers(0, 1 << 50),
        iv_tweak=st.integers(0, (1 << 64) - 1),
        encryption=_texts,
        sector_size=st.sampled_from([512, 4096]),
        integrity=st.none()
        | st.builds(SegmentIntegrity, _texts, _texts, _texts, st.none() | st.integers(1, 512)),
        flags=st.sampled_from([(), ("backup-final",)]),
    )
