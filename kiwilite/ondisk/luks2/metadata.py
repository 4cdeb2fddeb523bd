"""The JSON half of a LUKS2 header, as typed values.

    {"keyslots": {"0": {...}}, "tokens": {...}, "segments": {...}, "digests": {...},
     "config": {"json_size": "12288", "keyslots_size": "16744448"}}

Members this module does not know are read over and not written again; all of what
cryptsetup 2.4 to 2.7 writes for volumes that are not being re-encrypted is known.

Source: LUKS2 On-Disk Format Specification 1.1.0, chapter 3 "JSON area".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, cast

from kiwilite.ondisk.luks2 import jsontree
from kiwilite.ondisk.luks2.jsontree import BadMetadata, Json, Node
from kiwilite.ondisk.luks2.kdf import Argon2, Kdf, Pbkdf2, UnsupportedLuks

# Also what cryptsetup takes at most.
MAX_KEY_BYTES: Final = 512
_MAX_STRIPES: Final = 4000


@dataclass(frozen=True, slots=True)
class Area:
    """Where a keyslot's material stands: byte offset from the header's start, size in bytes.

    `encryption` is a cipher for sectors of 512 bytes ("aes-xts-plain64"), `key_size` the
    bytes of its key.
    """

    offset: int
    size: int
    encryption: str
    key_size: int


@dataclass(frozen=True, slots=True)
class Keyslot:
    """A volume key of `key_size` bytes, to be had with a passphrase.

    `stripes` and `af_hash` are the anti-forensic splitter's. `priority`: 0 is used only
    when asked for by number, 2 before the others, None and 1 are the usual ones.
    """

    number: int
    key_size: int
    kdf: Kdf
    salt: bytes
    area: Area
    stripes: int
    af_hash: str
    priority: int | None = None

    @property
    def material_bytes(self) -> int:
        """How much of the area is used; whole sectors of 512 bytes."""
        return -(-self.key_size * self.stripes // 512) * 512


@dataclass(frozen=True, slots=True)
class SegmentIntegrity:
    """dm-integrity below dm-crypt: `type` is "aead", "hmac(sha256)" and the like.

    `key_size`: bytes of the integrity key, where the header (of cryptsetup 2.8) says it.
    """

    type: str
    journal_encryption: str = "none"
    journal_integrity: str = "none"
    key_size: int | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """An encrypted range: bytes from the header's start; `size` None reaches to the end."""

    number: int
    offset: int
    size: int | None
    iv_tweak: int
    encryption: str
    sector_size: int
    integrity: SegmentIntegrity | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Digest:
    """PBKDF2 over the volume key: tells the key of these segments from any other."""

    number: int
    keyslots: tuple[int, ...]
    segments: tuple[int, ...]
    hash: str
    iterations: int
    salt: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """Anything else, told apart by `type`; `fields` are its other members (not to be changed)."""

    number: int
    type: str
    keyslots: tuple[int, ...] = ()
    fields: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The whole JSON area. `keyslots_size`: bytes for keyslot areas behind both headers."""

    keyslots: tuple[Keyslot, ...]
    tokens: tuple[Token, ...]
    segments: tuple[Segment, ...]
    digests: tuple[Digest, ...]
    json_size: int
    keyslots_size: int
    flags: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()

    def render(self) -> bytes:
        """The JSON text. Raises BadMetadata where parts contradict each other."""
        _check(self)
        return jsontree.render(
            {
                "keyslots": {str(slot.number): _keyslot_json(slot) for slot in self.keyslots},
                "tokens": {str(token.number): _token_json(token) for token in self.tokens},
                "segments": {str(s.number): _segment_json(s) for s in self.segments},
                "digests": {str(digest.number): _digest_json(digest) for digest in self.digests},
                "config": _config_json(self),
            }
        )


def parse(text: bytes) -> Metadata:
    """Read the JSON text; raises BadMetadata, naming the place."""
    root = jsontree.parse(text)
    config = root["config"]
    flags, requirements = config.get("flags"), config.get("requirements")
    metadata = Metadata(
        keyslots=tuple(_keyslot(*item) for item in root["keyslots"].numbered()),
        tokens=tuple(_token(*item) for item in root["tokens"].numbered()),
        segments=tuple(_segment(*item) for item in root["segments"].numbered()),
        digests=tuple(_digest(*item) for item in root["digests"].numbered()),
        json_size=config["json_size"].decimal(),
        keyslots_size=config["keyslots_size"].decimal(),
        flags=flags.strings() if flags else (),
        requirements=requirements["mandatory"].strings() if requirements else (),
    )
    _check(metadata)
    return metadata


def _keyslot(number: int, node: Node) -> Keyslot:
    _expect(node["type"], "luks2")
    af, area = node["af"], node["area"]
    _expect(af["type"], "luks1")
    _expect(area["type"], "raw")
    priority = node.get("priority")
    slot = Keyslot(
        number=number,
        key_size=node["key_size"].integer(1),
        kdf=_kdf(node["kdf"]),
        salt=node["kdf"]["salt"].bytes(),
        area=Area(
            offset=area["offset"].decimal(),
            size=area["size"].decimal(),
            encryption=area["encryption"].string(),
            key_size=area["key_size"].integer(1),
        ),
        stripes=af["stripes"].integer(1),
        af_hash=af["hash"].string(),
        priority=priority.integer() if priority else None,
    )
    if max(slot.key_size, slot.area.key_size) > MAX_KEY_BYTES or slot.stripes > _MAX_STRIPES:
        raise node.error("has an impossible key size or number of stripes")
    return slot


def _kdf(node: Node) -> Kdf:
    kind = node["type"].string()
    try:
        if kind == "pbkdf2":
            return Pbkdf2(node["hash"].string(), node["iterations"].integer(1))
        if kind in {"argon2i", "argon2id"}:
            return Argon2(
                "argon2i" if kind == "argon2i" else "argon2id",
                node["time"].integer(1),
                node["memory"].integer(1),
                node["cpus"].integer(1),
            )
    except UnsupportedLuks as error:
        raise node.error(error.message) from error
    raise node["type"].error(f"{kind[:40]!r} is no known key derivation function")


def _segment(number: int, node: Node) -> Segment:
    _expect(node["type"], "crypt")
    integrity, flags, size = node.get("integrity"), node.get("flags"), node["size"]
    return Segment(
        number=number,
        offset=node["offset"].decimal(),
        size=None if size.string() == "dynamic" else size.decimal(),
        iv_tweak=node["iv_tweak"].decimal(),
        encryption=node["encryption"].string(),
        sector_size=node["sector_size"].integer(512),
        integrity=_integrity(integrity) if integrity else None,
        flags=flags.strings() if flags else (),
    )


def _integrity(node: Node) -> SegmentIntegrity:
    key_size = node.get("key_size")
    return SegmentIntegrity(
        node["type"].string(),
        node["journal_encryption"].string(),
        node["journal_integrity"].string(),
        key_size.integer(1) if key_size else None,
    )


def _digest(number: int, node: Node) -> Digest:
    _expect(node["type"], "pbkdf2")
    digest = Digest(
        number=number,
        keyslots=node["keyslots"].indexes(),
        segments=node["segments"].indexes(),
        hash=node["hash"].string(),
        iterations=node["iterations"].integer(1),
        salt=node["salt"].bytes(),
        digest=node["digest"].bytes(),
    )
    # A digest of few bytes would take many a wrong key for the right one.
    if not 16 <= len(digest.digest) <= 64:
        raise node["digest"].error(f"has {len(digest.digest)} bytes, not 16 to 64")
    return digest


def _token(number: int, node: Node) -> Token:
    known = {"type", "keyslots"}
    return Token(
        number=number,
        type=node["type"].string(),
        keyslots=node["keyslots"].indexes(),
        fields={key: value for key, value in node.object().items() if key not in known},
    )


def _expect(node: Node, value: str) -> None:
    if node.string() != value:
        raise node.error(f"{node.string()[:40]!r} is not supported, only {value!r}")


def _check(metadata: Metadata) -> None:
    """References lead somewhere, areas stand apart from each other, sizes are enough."""
    for kind in ("keyslots", "tokens", "segments", "digests"):
        numbers = [item.number for item in getattr(metadata, kind)]
        if len(set(numbers)) < len(numbers):
            raise BadMetadata(kind, "two have the same number")
    slots = {slot.number for slot in metadata.keyslots}
    segments = {segment.number for segment in metadata.segments}
    for digest in metadata.digests:
        _check_references(f"digests.{digest.number}.keyslots", digest.keyslots, slots)
        _check_references(f"digests.{digest.number}.segments", digest.segments, segments)
    for token in metadata.tokens:
        _check_references(f"tokens.{token.number}.keyslots", token.keyslots, slots)
    for segment in metadata.segments:
        if segment.sector_size not in {512, 1024, 2048, 4096}:
            raise BadMetadata(
                f"segments.{segment.number}.sector_size", f"{segment.sector_size} is not possible"
            )
    _check_areas(metadata)


def _check_references(place: str, numbers: Iterable[int], known: set[int]) -> None:
    for number in numbers:
        if number not in known:
            raise BadMetadata(place, f"names {number}, which there is not")


def _check_areas(metadata: Metadata) -> None:
    first = 2 * (metadata.json_size + 4096)
    end = first + metadata.keyslots_size
    slots = sorted(metadata.keyslots, key=lambda slot: slot.area.offset)
    for slot in slots:
        place = f"keyslots.{slot.number}.area"
        if not first <= slot.area.offset <= slot.area.offset + slot.area.size <= end:
            raise BadMetadata(place, f"is not within bytes {first} to {end}")
        if slot.area.size < slot.material_bytes:
            raise BadMetadata(
                f"{place}.size", f"is {slot.area.size}, less than {slot.material_bytes}"
            )
    for lower, upper in pairwise(slots):
        if lower.area.offset + lower.area.size > upper.area.offset:
            raise BadMetadata(
                f"keyslots.{upper.number}.area", f"overlaps that of keyslot {lower.number}"
            )
    for segment in metadata.segments:
        if 0 < segment.offset < end:
            raise BadMetadata(f"segments.{segment.number}.offset", "lies within the header")


def _keyslot_json(slot: Keyslot) -> Json:
    area: Json = {
        "type": "raw",
        "offset": str(slot.area.offset),
        "size": str(slot.area.size),
        "encryption": slot.area.encryption,
        "key_size": slot.area.key_size,
    }
    shown: dict[str, Json] = {
        "type": "luks2",
        "key_size": slot.key_size,
        "af": {"type": "luks1", "stripes": slot.stripes, "hash": slot.af_hash},
        "area": area,
        "kdf": {**_kdf_json(slot.kdf), "salt": jsontree.to_base64(slot.salt)},
    }
    return shown if slot.priority is None else {**shown, "priority": slot.priority}


def _kdf_json(kdf: Kdf) -> dict[str, Json]:
    if isinstance(kdf, Pbkdf2):
        return {"type": "pbkdf2", "hash": kdf.hash, "iterations": kdf.iterations}
    return {"type": kdf.variant, "time": kdf.time, "memory": kdf.memory_kib, "cpus": kdf.cpus}


def _segment_json(segment: Segment) -> Json:
    shown: dict[str, Json] = {
        "type": "crypt",
        "offset": str(segment.offset),
        "size": "dynamic" if segment.size is None else str(segment.size),
        "iv_tweak": str(segment.iv_tweak),
        "encryption": segment.encryption,
        "sector_size": segment.sector_size,
    }
    if segment.integrity:
        shown["integrity"] = _integrity_json(segment.integrity)
    if segment.flags:
        shown["flags"] = cast("Json", list(segment.flags))
    return shown


def _integrity_json(integrity: SegmentIntegrity) -> Json:
    shown: dict[str, Json] = {
        "type": integrity.type,
        "journal_encryption": integrity.journal_encryption,
        "journal_integrity": integrity.journal_integrity,
    }
    return shown if integrity.key_size is None else {**shown, "key_size": integrity.key_size}


def _digest_json(digest: Digest) -> Json:
    return {
        "type": "pbkdf2",
        "keyslots": _numbers_json(digest.keyslots),
        "segments": _numbers_json(digest.segments),
        "hash": digest.hash,
        "iterations": digest.iterations,
        "salt": jsontree.to_base64(digest.salt),
        "digest": jsontree.to_base64(digest.digest),
    }


def _token_json(token: Token) -> Json:
    return {"type": token.type, "keyslots": _numbers_json(token.keyslots), **token.fields}


def _config_json(metadata: Metadata) -> Json:
    shown: dict[str, Json] = {
        "json_size": str(metadata.json_size),
        "keyslots_size": str(metadata.keyslots_size),
    }
    if metadata.flags:
        shown["flags"] = cast("Json", list(metadata.flags))
    if metadata.requirements:
        shown["requirements"] = {"mandatory": cast("Json", list(metadata.requirements))}
    return shown


def _numbers_json(numbers: Iterable[int]) -> Json:
    return [str(number) for number in numbers]
