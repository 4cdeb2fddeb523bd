"""LUKS2 header: two copies, each a binary half of 4096 bytes and a JSON half.

The primary copy stands at byte 0, the secondary right behind it. Binary half, integers
big-endian:

      0   6  magic: "LUKS" ba be; of the secondary copy "SKUL" ba be
      6   2  version, 2                    168  40  UUID as text
      8   8  size of this copy, bytes      208  48  subsystem
     16   8  sequence number               256   8  offset of this copy
     24  48  label                         264 184  zero
     72  32  checksum algorithm            448  64  checksum
    104  64  salt                          512 3584 zero

The checksum is the hash of the whole copy, JSON and padding included, with zeros in place
of the checksum. So each byte of a copy is covered. The salt only makes copies differ; both
that `pack` makes have the same.

Source: LUKS2 On-Disk Format Specification 1.1.0, chapter 2 "LUKS2 On-Disk Format".
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.luks2 import metadata as json_area
from kiwilite.ondisk.luks2.jsontree import BadMetadata
from kiwilite.ondisk.luks2.metadata import Metadata

BINARY_BYTES: Final = 4096
HEADER_BYTES: Final = 16384
"""The usual size of one copy."""
HEADER_SIZES: Final = tuple(1 << bits for bits in range(14, 23))
SALT_BYTES: Final = 64
_BINARY: Final = struct.Struct(">6sHQQ48s32s64s40s48sQ184s64s")
_CHECKSUM: Final = slice(448, 512)
_CHECKSUM_ALGORITHMS: Final = frozenset({"sha1", "sha256", "sha384", "sha512"})
_VERSION: Final = 2


class Copy(Enum):
    """Which of the two."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


_MAGIC: Final = {Copy.PRIMARY: b"LUKS\xba\xbe", Copy.SECONDARY: b"SKUL\xba\xbe"}


class BadLuksHeader(KiwiliteError):
    """A copy of a LUKS2 header is not valid; `copy` and `field` say where."""

    def __init__(self, copy: Copy, field: str, message: str) -> None:
        super().__init__(f"LUKS2 {copy.value} header, {field}: {message}")
        self.copy = copy
        self.field = field


@dataclass(frozen=True, slots=True)
class LuksHeader:
    """One copy, or what both are to be made from. The copy with the higher `seqid` is newer.

    `label` and `subsystem`: at most 47 bytes of UTF-8 each. `header_bytes`: size of one
    copy, one of HEADER_SIZES; `metadata.json_size` is 4096 less.
    """

    uuid: UUID
    label: str
    subsystem: str
    seqid: int
    salt: bytes
    metadata: Metadata
    header_bytes: int = HEADER_BYTES
    checksum_algorithm: str = "sha256"

    def pack(self) -> bytes:
        """Both copies, twice `header_bytes`. Raises BadLuksHeader."""
        return self.pack_copy(Copy.PRIMARY) + self.pack_copy(Copy.SECONDARY)

    def pack_copy(self, copy: Copy) -> bytes:
        """One copy, `header_bytes` long. Raises BadLuksHeader for what does not fit."""
        if self.header_bytes not in HEADER_SIZES:
            raise BadLuksHeader(copy, "size", f"{self.header_bytes} bytes are not possible")
        if self.checksum_algorithm not in _CHECKSUM_ALGORITHMS:
            raise BadLuksHeader(copy, "checksum algorithm", f"no {self.checksum_algorithm}")
        if len(self.salt) != SALT_BYTES:
            raise BadLuksHeader(copy, "salt", f"has {len(self.salt)} bytes, not {SALT_BYTES}")
        if not 0 < self.seqid < 1 << 64:
            raise BadLuksHeader(copy, "sequence number", f"{self.seqid} is not possible")
        binary = _BINARY.pack(
            _MAGIC[copy],
            _VERSION,
            self.header_bytes,
            self.seqid,
            _pack_text(copy, "label", self.label),
            self.checksum_algorithm.encode(),
            self.salt,
            str(self.uuid).encode(),
            _pack_text(copy, "subsystem", self.subsystem),
            0 if copy is Copy.PRIMARY else self.header_bytes,
            b"",
            b"",
        ).ljust(BINARY_BYTES, b"\0")
        raw = bytearray(binary + self._pack_json(copy))
        raw[_CHECKSUM] = hashlib.new(self.checksum_algorithm, raw).digest().ljust(64, b"\0")
        return bytes(raw)

    def _pack_json(self, copy: Copy) -> bytes:
        size = self.header_bytes - BINARY_BYTES
        if self.metadata.json_size != size:
            raise BadLuksHeader(copy, "JSON size", f"is {self.metadata.json_size}, not {size}")
        try:
            text = self.metadata.render()
        except BadMetadata as error:
            raise BadLuksHeader(copy, f"JSON {error.field}", error.problem) from error
        if len(text) >= size:
            raise BadLuksHeader(copy, "JSON", f"has {len(text)} bytes, at most {size - 1} fit")
        return text.ljust(size, b"\0")


class Copies(NamedTuple):
    """Both copies of a header; an error in place of one that is damaged or not there."""

    primary: LuksHeader | BadLuksHeader
    secondary: LuksHeader | BadLuksHeader

    @property
    def best(self) -> LuksHeader:
        """The sound copy, the newer one of two; raises the primary's BadLuksHeader."""
        if isinstance(self.primary, BadLuksHeader):
            if isinstance(self.secondary, BadLuksHeader):
                raise self.primary
            return self.secondary
        if isinstance(self.secondary, BadLuksHeader) or self.primary.seqid >= self.secondary.seqid:
            return self.primary
        return self.secondary

    @property
    def agree(self) -> bool:
        """Whether both are sound and say the same (their salts may differ)."""
        if isinstance(self.primary, BadLuksHeader) or isinstance(self.secondary, BadLuksHeader):
            return False
        return replace(self.primary, salt=b"") == replace(self.secondary, salt=b"")


def is_luks2(raw: bytes) -> bool:
    """Whether the magic of the primary copy stands at byte 0, of version 2."""
    return raw[:8] == _MAGIC[Copy.PRIMARY] + _VERSION.to_bytes(2, "big")


def unpack(raw: bytes) -> LuksHeader:
    """The good copy with the higher sequence number; see `read_both` for `raw`.

    Raises BadLuksHeader if neither is good. It does not tell whether one is damaged:
    `read_both` does.
    """
    return read_both(raw).best


def read_both(raw: bytes) -> Copies:
    """Read and check both copies.

    `raw` begins at the start of the volume and has 32768 bytes or more; for headers of
    other sizes both copies must be in it (8 MiB at most).
    """
    try:
        primary: LuksHeader | BadLuksHeader = _unpack_copy(raw, Copy.PRIMARY, 0)
    except BadLuksHeader as error:
        primary = error
    offsets: tuple[int, ...] = HEADER_SIZES
    if isinstance(primary, LuksHeader):
        offsets = (primary.header_bytes,)
    errors: list[BadLuksHeader] = []
    for offset in offsets:
        try:
            return Copies(primary, _unpack_copy(raw, Copy.SECONDARY, offset))
        except BadLuksHeader as error:
            errors.append(error)
    # One that is there, but damaged, says more than a place where none is.
    named = [error for error in errors if error.field != "magic"]
    return Copies(primary, (named or errors)[0])


def _unpack_copy(raw: bytes, copy: Copy, offset: int) -> LuksHeader:
    if len(raw) < offset + BINARY_BYTES:
        raise BadLuksHeader(copy, "magic", "the data end before it")
    magic, version, size, seqid, label, algorithm, salt, uuid, subsystem, place, _, checksum = (
        _BINARY.unpack_from(raw, offset)
    )
    if magic != _MAGIC[copy]:
        raise BadLuksHeader(copy, "magic", f"is not there (byte {offset})")
    if version != _VERSION:
        raise BadLuksHeader(copy, "version", f"is {version}, not {_VERSION}")
    if size not in HEADER_SIZES:
        raise BadLuksHeader(copy, "size", f"{size} bytes are not possible")
    if place != offset:
        raise BadLuksHeader(copy, "offset", f"is {place}, but the copy stands at {offset}")
    whole = raw[offset : offset + size]
    if len(whole) < size:
        raise BadLuksHeader(copy, "size", f"is {size}, but the data end before")
    name = _unpack_text(copy, "checksum algorithm", algorithm)
    if name not in _CHECKSUM_ALGORITHMS:
        raise BadLuksHeader(copy, "checksum algorithm", f"{name!r} is not known")
    blank = whole[: _CHECKSUM.start] + bytes(64) + whole[_CHECKSUM.stop :]
    if hashlib.new(name, blank).digest().ljust(64, b"\0") != checksum:
        raise BadLuksHeader(copy, "checksum", "does not fit the contents: bytes were changed")
    return LuksHeader(
        uuid=_unpack_uuid(copy, uuid),
        label=_unpack_text(copy, "label", label),
        subsystem=_unpack_text(copy, "subsystem", subsystem),
        seqid=seqid,
        salt=salt,
        metadata=_unpack_json(copy, whole[BINARY_BYTES:]),
        header_bytes=size,
        checksum_algorithm=name,
    )


def _unpack_json(copy: Copy, area: bytes) -> Metadata:
    text, _, padding = area.partition(b"\0")
    if len(text) == len(area) or any(padding):
        raise BadLuksHeader(copy, "JSON", "does not end in zeros")
    try:
        metadata = json_area.parse(text)
    except BadMetadata as error:
        raise BadLuksHeader(copy, f"JSON {error.field}", error.problem) from error
    if metadata.json_size != len(area):
        raise BadLuksHeader(copy, "JSON size", f"is {metadata.json_size}, not {len(area)}")
    return metadata


def _unpack_uuid(copy: Copy, raw: bytes) -> UUID:
    text = _unpack_text(copy, "UUID", raw)
    try:
        return UUID(text)
    except ValueError as error:
        raise BadLuksHeader(copy, "UUID", f"{text!r} is none") from error


def _pack_text(copy: Copy, field: str, text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 47 or b"\0" in raw:
        raise BadLuksHeader(copy, field, f"{text!r} does not fit: 47 bytes without NUL at most")
    return raw


def _unpack_text(copy: Copy, field: str, raw: bytes) -> str:
    try:
        return raw.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadLuksHeader(copy, field, "is not UTF-8") from error
