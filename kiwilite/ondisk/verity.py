"""dm-verity: superblock, hash tree, and the check of data against a root hash.

The hash area, as `veritysetup format` writes it:

    one hash block with the superblock in its first 512 bytes
    the levels of the tree, top level (one block) first, leaves last

A leaf digest is H(salt || data block), a digest of an upper level H(salt || hash
block). Digests stand in a hash block at a distance of the next power of two of
their length; the rest of a block is zero. The root hash is the digest of the top
block, or of the data itself where that is one block only.

Superblock (512 bytes, little-endian):

    0   8  signature "verity\\0\\0"      68  4  hash block size, bytes
    8   4  version, 1                   72  8  number of data blocks
    12  4  hash type, 1                 80  2  salt length
    16 16  UUID                         82  6  zero
    32 32  hash algorithm, NUL-padded   88 256 salt
    64  4  data block size, bytes      344 168 zero

Sources: cryptsetup's documentation of the verity on-disk format (DMVerity), and
Documentation/admin-guide/device-mapper/verity.rst of Linux.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Final
from uuid import UUID

from kiwilite.errors import KiwiliteError

SUPERBLOCK_SIZE: Final = 512
_SUPERBLOCK: Final = struct.Struct("<8sII16s32sIIQH6s256s")
_SIGNATURE: Final = b"verity\0\0"
_MAX_SALT: Final = 256
_MAX_BLOCK_SIZE: Final = 65536
_ALGORITHMS: Final = {
    **{name: name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")},
    **{f"sha3-{bits}": f"sha3_{bits}" for bits in (224, 256, 384, 512)},
    **{"blake2b-512": "blake2b", "blake2s-256": "blake2s"},
}
"""What the kernel and veritysetup call a hash → what hashlib calls it."""
_READ_BYTES: Final = 1 << 20


class BadSuperblock(KiwiliteError):
    """A superblock (or the parameters for one) is not valid; `field` says where."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"dm-verity superblock, {field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class VeritySuperblock:
    """What the superblock says. It is not authenticated: the root hash is.

    `data_blocks` counts blocks of `data_block_size` bytes; `salt` has at most 256 bytes.
    """

    uuid: UUID
    data_blocks: int
    salt: bytes
    data_block_size: int = 4096
    hash_block_size: int = 4096
    algorithm: str = "sha256"

    def __post_init__(self) -> None:
        for name, size in (
            ("data block size", self.data_block_size),
            ("hash block size", self.hash_block_size),
        ):
            if not 512 <= size <= _MAX_BLOCK_SIZE or size & (size - 1):
                raise BadSuperblock(name, f"{size} is no power of two from 512 to 65536")
        if self.algorithm not in _ALGORITHMS:
            raise BadSuperblock("hash algorithm", f"{self.algorithm!r} is not known")
        if not 0 < self.data_blocks < 1 << 55:
            raise BadSuperblock("data blocks", f"{self.data_blocks} is not possible")
        if len(self.salt) > _MAX_SALT:
            raise BadSuperblock("salt", f"has {len(self.salt)} bytes, at most {_MAX_SALT} fit")

    def pack(self) -> bytes:
        """The 512 bytes."""
        return _SUPERBLOCK.pack(
            _SIGNATURE,
            1,
            1,
            self.uuid.bytes,
            self.algorithm.encode(),
            self.data_block_size,
            self.hash_block_size,
            self.data_blocks,
            len(self.salt),
            bytes(6),
            self.salt,
        ).ljust(SUPERBLOCK_SIZE, b"\0")

    @classmethod
    def unpack(cls, raw: bytes) -> VeritySuperblock:
        """Read 512 bytes or more; raises BadSuperblock."""
        if len(raw) < SUPERBLOCK_SIZE:
            raise BadSuperblock("length", f"{len(raw)} bytes, not {SUPERBLOCK_SIZE}")
        signature, version, kind, uuid, name, data_bs, hash_bs, blocks, salt_size, _, salt = (
            _SUPERBLOCK.unpack_from(raw)
        )
        if signature != _SIGNATURE:
            raise BadSuperblock("signature", "is not 'verity'")
        if (version, kind) != (1, 1):
            raise BadSuperblock("version", f"{version} with hash type {kind} is not supported")
        if salt_size > _MAX_SALT:
            raise BadSuperblock("salt length", f"is {salt_size}, at most {_MAX_SALT} fit")
        algorithm = name.rstrip(b"\0").decode("ascii", "backslashreplace")
        return cls(UUID(bytes=uuid), blocks, salt[:salt_size], data_bs, hash_bs, algorithm)


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of the tree: where its blocks stand, in hash blocks from the tree's start."""

    first_block: int
    blocks: int


@dataclass(frozen=True, slots=True)
class TreeShape:
    """The sizes that follow from a superblock; levels leaves first."""

    superblock: VeritySuperblock
    levels: tuple[_Level, ...] = field(init=False)
    digest_distance: int = field(init=False)

    def __post_init__(self) -> None:
        size = hashlib.new(_ALGORITHMS[self.superblock.algorithm]).digest_size
        distance = 1 << (size - 1).bit_length()
        counts: list[int] = []
        below = self.superblock.data_blocks
        while below > 1:
            below = -(-below // (self.superblock.hash_block_size // distance))
            counts.append(below)
        levels: list[_Level] = []
        first = 0
        for count in reversed(counts):
            levels.insert(0, _Level(first, count))
            first += count
        object.__setattr__(self, "digest_distance", distance)
        object.__setattr__(self, "levels", tuple(levels))

    @property
    def digests_per_block(self) -> int:
        """Digests in one hash block."""
        return self.superblock.hash_block_size // self.digest_distance

    @property
    def tree_bytes(self) -> int:
        """Length of the tree without the superblock."""
        return sum(level.blocks for level in self.levels) * self.superblock.hash_block_size

    @property
    def hash_area_bytes(self) -> int:
        """Length of the whole hash area: superblock's block and tree."""
        return self.superblock.hash_block_size + self.tree_bytes


WriteAt = Callable[[int, bytes], object]
"""Takes a byte offset from the tree's start, and one hash block."""


def _discard(_offset: int, _block: bytes) -> None:
    """Where only the root hash is wanted."""


class _Digester:
    """H(salt || block) with the salt hashed once."""

    __slots__ = ("_salted",)

    def __init__(self, superblock: VeritySuperblock) -> None:
        self._salted = hashlib.new(_ALGORITHMS[superblock.algorithm], superblock.salt)

    def __call__(self, block: bytes | memoryview) -> bytes:
        h = self._salted.copy()
        h.update(block)
        return h.digest()


def digester(superblock: VeritySuperblock) -> Callable[[bytes | memoryview], bytes]:
    """The function that gives the digest of a data block or hash block."""
    return _Digester(superblock)


@dataclass(slots=True)
class _Growing:
    """A level while the data streams by: the digests of its one unfinished block."""

    level: _Level
    digests: bytearray = field(default_factory=bytearray)
    done: int = 0


def hash_tree(data: BinaryIO, superblock: VeritySuperblock, write: WriteAt = _discard) -> bytes:
    """Hash `superblock.data_blocks` blocks from `data`'s position on; return the root hash.

    Hash blocks go to `write` as they get complete, leaves and upper levels mixed; at
    most one block per level is held. Raises BadSuperblock if `data` ends too early.
    """
    shape = TreeShape(superblock)
    digest = _Digester(superblock)
    growing = [_Growing(level) for level in shape.levels]
    block_digests = _data_digests(data, superblock, digest)
    if not growing:
        return next(block_digests)
    padding = bytes(shape.digest_distance - len(digest(b"")))
    block_size = superblock.hash_block_size

    def finish(height: int) -> bytes | None:
        here = growing[height]
        block = bytes(here.digests).ljust(block_size, b"\0")
        write((here.level.first_block + here.done) * block_size, block)
        here.digests.clear()
        here.done += 1
        if height + 1 == len(growing):
            return digest(block)
        above = growing[height + 1]
        above.digests += digest(block) + padding
        if len(above.digests) == block_size or here.done == here.level.blocks:
            return finish(height + 1)
        return None

    leaves = growing[0].digests
    root: bytes | None = None
    for one in block_digests:
        leaves += one + padding
        if len(leaves) == block_size:
            root = finish(0)
    if leaves:
        root = finish(0)
    assert root is not None  # the last leaf block finishes every level above it
    return root


def _data_digests(data: BinaryIO, sb: VeritySuperblock, digest: _Digester) -> Iterator[bytes]:
    size = sb.data_block_size
    left = sb.data_blocks * size
    while left:
        chunk = data.read(min(_READ_BYTES, left))
        if not chunk:
            raise BadSuperblock(
                "data blocks", f"the data ends {left} bytes before the {sb.data_blocks} blocks"
            )
        while len(chunk) % size:
            more = data.read(size - len(chunk) % size)
            if not more:
                raise BadSuperblock("data blocks", "the data ends within a block")
            chunk += more
        left -= len(chunk)
        view = memoryview(chunk)
        for at in range(0, len(chunk), size):
            yield digest(view[at : at + size])


def write_hash_area(
    data_path: Path,
    out: BinaryIO,
    *,
    uuid: UUID,
    salt: bytes,
    data_bytes: int | None = None,
    data_block_size: int = 4096,
    hash_block_size: int = 4096,
    algorithm: str = "sha256",
) -> bytes:
    """Write superblock and tree for a file at `out`'s position; return the root hash.

    The same bytes as `veritysetup format --hash-offset=POSITION`. `data_bytes`
    (default: the whole file) must be a multiple of the data block size. `out` may be
    the same file, opened for update, at or behind that offset; it is left behind the
    hash area. Raises BadSuperblock for parameters that do not fit.
    """
    size = data_path.stat().st_size if data_bytes is None else data_bytes
    if size % data_block_size:
        raise BadSuperblock("data blocks", f"{size} bytes are no multiple of {data_block_size}")
    superblock = VeritySuperblock(
        uuid, size // data_block_size, salt, data_block_size, hash_block_size, algorithm
    )
    start = out.tell()
    if start % hash_block_size:
        raise BadSuperblock("hash block size", f"the position {start} is no multiple of it")
    out.write(superblock.pack().ljust(hash_block_size, b"\0"))

    def write(offset: int, block: bytes) -> None:
        out.seek(start + hash_block_size + offset)
        out.write(block)

    with data_path.open("rb") as data:
        root_hash = hash_tree(data, superblock, write)
    out.seek(start + TreeShape(superblock).hash_area_bytes)
    return root_hash


class BlockKind(Enum):
    """Which side of dm-verity a block belongs to; the words of the kernel's log."""

    DATA = "data"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class Corruption:
    """A block that does not match its digest.

    `block` is what the kernel's message says: for data the number of the data
    block; for metadata the number of the hash block, counted from byte 0 of the
    file or device that holds the hash area. What lies below a corrupted metadata
    block cannot be judged and is not listed.
    """

    kind: BlockKind
    block: int


def read_superblock(image: BinaryIO, hash_offset: int) -> VeritySuperblock:
    """The superblock at byte `hash_offset`; raises BadSuperblock."""
    image.seek(hash_offset)
    return VeritySuperblock.unpack(image.read(SUPERBLOCK_SIZE))


def verify(
    image: BinaryIO, root_hash: bytes, *, hash_offset: int, hash_image: BinaryIO | None = None
) -> Iterator[Corruption]:
    """Check every block under `root_hash`; yield the corrupted ones, in data order.

    The data stand from byte 0 of `image`; the hash area at byte `hash_offset`, of
    `hash_image` where that is another file. Nothing yielded means: sound. Raises
    BadSuperblock, at once, if the superblock is invalid or the files are too short
    for what it says.
    """
    hashes = hash_image or image
    superblock = read_superblock(hashes, hash_offset)
    shape = TreeShape(superblock)
    if hash_offset % superblock.hash_block_size:
        raise BadSuperblock("hash block size", f"the offset {hash_offset} is no multiple of it")
    if hashes.seek(0, 2) < hash_offset + shape.hash_area_bytes:
        raise BadSuperblock("data blocks", "the hash area ends before the tree is complete")
    if image.seek(0, 2) < superblock.data_blocks * superblock.data_block_size:
        raise BadSuperblock("data blocks", "the data ends before that many blocks")
    return _verify(image, hashes, shape, root_hash, hash_offset // superblock.hash_block_size + 1)


def _verify(
    data: BinaryIO, hashes: BinaryIO, shape: TreeShape, root_hash: bytes, tree_block: int
) -> Iterator[Corruption]:
    sb = shape.superblock
    digest = _Digester(sb)
    size = len(root_hash)
    fan_out = shape.digests_per_block

    def check_data(block: int, digests: list[bytes]) -> Iterator[Corruption]:
        data.seek(block * sb.data_block_size)
        view = memoryview(data.read(len(digests) * sb.data_block_size))
        for n, expected in enumerate(digests):
            at = n * sb.data_block_size
            if digest(view[at : at + sb.data_block_size]) != expected:
                yield Corruption(BlockKind.DATA, block + n)

    def check_below(height: int, index: int, expected: bytes) -> Iterator[Corruption]:
        """The hash block `index` of level `height` (leaves are 0), and all below it."""
        number = tree_block + shape.levels[height].first_block + index
        hashes.seek(number * sb.hash_block_size)
        block = hashes.read(sb.hash_block_size)
        if digest(block) != expected:
            yield Corruption(BlockKind.METADATA, number)
            return
        below = sb.data_blocks if height == 0 else shape.levels[height - 1].blocks
        first = index * fan_out
        digests = [
            block[n * shape.digest_distance : n * shape.digest_distance + size]
            for n in range(min(fan_out, below - first))
        ]
        if height == 0:
            yield from check_data(first, digests)
            return
        for n, one in enumerate(digests):
            yield from check_below(height - 1, first + n, one)

    if shape.levels:
        yield from check_below(len(shape.levels) - 1, 0, root_hash)
    else:
        yield from check_data(0, [root_hash])
