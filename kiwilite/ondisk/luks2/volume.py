"""A LUKS2 header for a new volume with authenticated encryption, and its volume key back.

0          both copies of the header
32768      area of keyslot 0, of keyslot 1, ...
16 MiB     the only segment: dm-crypt on dm-integrity, to the volume's end
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.encryption import Encryption
from kiwilite.ondisk.luks2 import header as binary
from kiwilite.ondisk.luks2 import tokens as our_tokens
from kiwilite.ondisk.luks2.header import HEADER_BYTES, LuksHeader
from kiwilite.ondisk.luks2.kdf import Kdf, UnsupportedLuks
from kiwilite.ondisk.luks2.keyslot import Randomness, area_bytes, make_digest, matches, unwrap, wrap
from kiwilite.ondisk.luks2.metadata import (
    Digest,
    Keyslot,
    Metadata,
    Segment,
    SegmentIntegrity,
    Token,
)

DATA_OFFSET: Final = 16 * 1024 * 1024
"""Where the segment begins, bytes; the least partition is larger."""
DIGEST_ITERATIONS: Final = 1000
MAX_KEYSLOTS: Final = 32

ReadArea = Callable[[int, int], bytes]
"""Reads a volume: byte offset from its start, and size in bytes."""


class WrongPassphrase(KiwiliteError):
    """No keyslot opens with this passphrase (or the keyslots' areas are damaged)."""


class Key(NamedTuple):
    """What a keyslot is made from; `name` "" gives none."""

    name: str
    passphrase: bytes
    kdf: Kdf


def create(
    encryption: Encryption,
    volume_key: bytes,
    keys: Sequence[tuple[str, bytes, Kdf]],
    *,
    uuid: UUID,
    label: str,
    subsystem: str,
    tokens: Sequence[Token] = (),
    randomness: Randomness,
    digest_iterations: int = DIGEST_ITERATIONS,
) -> bytes:
    """The first bytes of a new volume: headers and keyslots, 16 MiB at most.

    Every key (see `Key`) becomes the keyslot of its place in `keys`. The rest up to
    DATA_OFFSET is to be zero or a hole. The same arguments and `randomness` give the
    same bytes. Raises BadLuksHeader for what does not fit into a header, UnsupportedLuks
    for a kdf that is not known, ValueError for a key of the wrong length.
    """
    if len(volume_key) != encryption.key_bytes:
        raise ValueError(f"the volume key has {len(volume_key)} bytes: {encryption}")
    if not 1 <= len(keys) <= MAX_KEYSLOTS:
        raise ValueError(f"a volume has 1 to {MAX_KEYSLOTS} keyslots, not {len(keys)}")
    salt = randomness(binary.SALT_BYTES)
    slots, areas = _wrap_all(volume_key, keys, randomness)
    numbers = tuple(slot.number for slot in slots)
    digest = make_digest(
        volume_key,
        keyslots=numbers,
        segments=(0,),
        iterations=digest_iterations,
        randomness=randomness,
    )
    metadata = Metadata(
        keyslots=slots,
        tokens=(*tokens, *_name_tokens(tokens, [name for name, _, _ in keys])),
        segments=(_segment(encryption),),
        digests=(digest,),
        json_size=HEADER_BYTES - binary.BINARY_BYTES,
        keyslots_size=DATA_OFFSET - 2 * HEADER_BYTES,
    )
    made = LuksHeader(uuid, label, subsystem, 1, salt, metadata)
    return made.pack() + areas


def unlock(header: LuksHeader, read_area: ReadArea, passphrase: bytes) -> bytes:
    """The volume key. Tries the keyslots as cryptsetup does: preferred ones first.

    Raises WrongPassphrase, or UnsupportedLuks where no keyslot opened, and one of them
    could not be tried.
    """
    if header.metadata.requirements:
        needed = ", ".join(header.metadata.requirements)
        raise UnsupportedLuks(f"the LUKS2 volume needs {needed}")
    unsupported: UnsupportedLuks | None = None
    # 0 stands for "only when asked for by number"
    slots = [slot for slot in header.metadata.keyslots if slot.priority != 0]
    for slot in sorted(slots, key=lambda slot: -(slot.priority or 1)):
        try:
            volume_key = unlock_keyslot(header, slot, read_area, passphrase)
        except UnsupportedLuks as error:
            unsupported = error
            continue
        if volume_key is not None:
            return volume_key
    if unsupported:
        raise unsupported
    raise WrongPassphrase(
        "no keyslot of the LUKS2 volume opens with this passphrase",
        hint="a key file counts with every byte of it, a line feed at its end too",
    )


def unlock_keyslot(
    header: LuksHeader, slot: Keyslot, read_area: ReadArea, passphrase: bytes
) -> bytes | None:
    """The volume key, if `passphrase` opens this keyslot and its key is that of a segment.

    Raises UnsupportedLuks.
    """
    digest = _digest_of(header, slot)
    if digest is None:
        return None
    area = read_area(slot.area.offset, slot.material_bytes)
    if len(area) < slot.material_bytes:
        return None  # the volume ends before it
    volume_key = unwrap(slot, area, passphrase)
    return volume_key if matches(digest, volume_key) else None


def _digest_of(header: LuksHeader, slot: Keyslot) -> Digest | None:
    # A digest without segments belongs to a key that opens nothing ("unbound").
    found = (d for d in header.metadata.digests if slot.number in d.keyslots and d.segments)
    return next(found, None)


def _wrap_all(
    volume_key: bytes, keys: Sequence[tuple[str, bytes, Kdf]], randomness: Randomness
) -> tuple[tuple[Keyslot, ...], bytes]:
    slots: list[Keyslot] = []
    areas = b""
    for number, (_, passphrase, kdf) in enumerate(keys):
        offset = 2 * HEADER_BYTES + number * area_bytes(len(volume_key))
        slot, area = wrap(
            volume_key, passphrase, kdf, number=number, offset=offset, randomness=randomness
        )
        slots.append(slot)
        areas += area
    return tuple(slots), areas


def _name_tokens(tokens: Sequence[Token], names: Sequence[str]) -> list[Token]:
    first = max((token.number for token in tokens), default=-1) + 1
    named = [(slot, name) for slot, name in enumerate(names) if name]
    return [our_tokens.name_token(first + at, slot, name) for at, (slot, name) in enumerate(named)]


def _segment(encryption: Encryption) -> Segment:
    return Segment(
        number=0,
        offset=DATA_OFFSET,
        size=None,
        iv_tweak=0,
        encryption=encryption.cipher,
        sector_size=encryption.sector_size,
        integrity=SegmentIntegrity(encryption.segment_integrity),
    )
