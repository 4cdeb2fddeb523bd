"""KIWI's verification metadata: how to open a verity device, in the last block of its partition.

The block has 4096 bytes and ends with the partition:

    text       "VERSION FSTYPE ACCESS TYPE"            version 1, "ro", "verity"
    1          0xff
    text       "HASHTYPE DATA_BLOCK HASH_BLOCK DATA_BLOCKS HASH_START ALGORITHM ROOTHASH SALT"
    1          0xff
    1          0x00
    signature  RSASSA-PSS over all bytes before it; none where nothing was signed
    rest       0x00

Fields are separated by one space, numbers are decimal; block sizes are bytes, root hash
and salt hexadecimal, an empty salt is "-". HASH_START counts hash blocks from the start of
the device with the tree up to the tree itself, so `veritysetup open --no-superblock
--hash-offset=HASH_START*HASH_BLOCK` finds it. KIWI since 10.2.21 gives the superblock's
place, one block before, and what it writes cannot be opened; where no superblock stands
before the tree (KIWI before that), both are the same.

Nothing here is authenticated without the signature, and nothing says who signed: a block
is compared with the root hash that is known from elsewhere, it is never trusted by itself.

Source: the format as KIWI NG writes it (`embed_verity_metadata`) and its kiwi-parse-verity
reads it, which splits at spaces and 0xff.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError

METADATA_BYTES: Final = 4096
_SEPARATOR: Final = b"\xff"
_END: Final = b"\xff\0"
_NO_SALT: Final = "-"
_WORD: Final = re.compile(r"[A-Za-z0-9_.-]+")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")


class BadVerityMetadata(KiwiliteError):
    """A metadata block (or what to put into one) is not valid; `field` says where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"verity metadata, {field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class VerityMetadata:
    """What a block says. Block sizes are bytes; `hash_start` counts hash blocks of them,
    from the start of the device with the tree to the tree, the superblock left behind.
    """

    filesystem: str
    data_block_size: int
    hash_block_size: int
    data_blocks: int
    hash_start: int
    algorithm: str
    root_hash: str
    salt: str
    """Hexadecimal, "" for none."""

    def __post_init__(self) -> None:
        for field, word in (("file system", self.filesystem), ("algorithm", self.algorithm)):
            if not _WORD.fullmatch(word):
                raise BadVerityMetadata(field, f"{word!r} is no plain word")
        for field, size in (
            ("data block size", self.data_block_size),
            ("hash block size", self.hash_block_size),
        ):
            if not 512 <= size <= 65536 or size & (size - 1):
                raise BadVerityMetadata(field, f"{size} is no power of two from 512 to 65536")
        for field, number in (("data blocks", self.data_blocks), ("hash start", self.hash_start)):
            if not 0 <= number < 1 << 63:
                raise BadVerityMetadata(field, f"{number} is not possible")
        if not _HEX.fullmatch(self.root_hash):
            raise BadVerityMetadata("root hash", f"{self.root_hash!r} is not hexadecimal")
        if self.salt and not _HEX.fullmatch(self.salt):
            raise BadVerityMetadata("salt", f"{self.salt!r} is not hexadecimal")

    def signed_part(self) -> bytes:
        """The bytes a signature is made over."""
        fields = (
            1,
            self.data_block_size,
            self.hash_block_size,
            self.data_blocks,
            self.hash_start,
            self.algorithm,
            self.root_hash,
            self.salt or _NO_SALT,
        )
        head = f"1 {self.filesystem} ro verity".encode()
        return head + _SEPARATOR + " ".join(map(str, fields)).encode() + _END


def pack(metadata: VerityMetadata, signature: bytes = b"") -> bytes:
    """The 4096 bytes; raises BadVerityMetadata where the signature does not fit."""
    content = metadata.signed_part() + signature
    if len(content) > METADATA_BYTES:
        raise BadVerityMetadata("signature", f"does not fit: {len(content)} bytes")
    return content.ljust(METADATA_BYTES, b"\0")


@dataclass(frozen=True, slots=True)
class MetadataBlock:
    """A block that was read: what it says, the bytes that says it, and what follows them."""

    metadata: VerityMetadata
    signed_part: bytes
    rest: bytes
    """Signature and zeros up to the block's end."""

    @property
    def has_signature(self) -> bool:
        """Whether anything stands where a signature would."""
        return any(self.rest)

    def signature(self, size: int) -> bytes:
        """The signature by a key of `size` bytes; raises BadVerityMetadata where more follows."""
        if any(self.rest[size:]):
            raise BadVerityMetadata("signature", f"is longer than the key's {size} bytes")
        return self.rest[:size]


def unpack(raw: bytes) -> MetadataBlock:
    """Read a block of 4096 bytes; raises BadVerityMetadata, saying which field is wrong."""
    if len(raw) != METADATA_BYTES:
        raise BadVerityMetadata("length", f"{len(raw)} bytes, not {METADATA_BYTES}")
    end = raw.find(_END)
    if end < 0:
        raise BadVerityMetadata("end", "there is no ff 00")
    try:
        text = raw[:end].replace(_SEPARATOR, b" \n ").decode("ascii")
    except UnicodeDecodeError as error:
        raise BadVerityMetadata("text", f"byte {error.start} is no ASCII") from error
    words = text.split(" ")
    if len(words) != 13 or words[4] != "\n":
        raise BadVerityMetadata("text", f"{text.strip()!r} does not have 4 and 8 fields")
    version, filesystem, access, kind, _, hash_type = words[:6]
    if (version, access, kind) != ("1", "ro", "verity"):
        raise BadVerityMetadata("header", f"{words[:4]} is no verity device of version 1")
    if hash_type != "1":
        raise BadVerityMetadata("hash type", f"{hash_type!r} is not supported")
    metadata = VerityMetadata(
        filesystem=filesystem,
        data_block_size=_number(words[6], "data block size"),
        hash_block_size=_number(words[7], "hash block size"),
        data_blocks=_number(words[8], "data blocks"),
        hash_start=_number(words[9], "hash start"),
        algorithm=words[10],
        root_hash=words[11],
        salt="" if words[12] == _NO_SALT else words[12],
    )
    return MetadataBlock(metadata, raw[: end + 2], raw[end + 2 :])


def _number(text: str, field: str) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text):
        raise BadVerityMetadata(field, f"{text!r} is no decimal number")
    return int(text)
