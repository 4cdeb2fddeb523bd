"""What compresses blocks, and what reads them again.

Bytes that compression would not make fewer are kept as they are; a bit in the place that
tells a block's size says so.
"""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import zstandard

from kiwilite.ondisk.squashfs.superblock import BadSquashfs, Flags

LEVELS: Final = range(1, 23)
"""Levels of zstd."""

PLAIN: Final = (
    Flags.PLAIN_INODES
    | Flags.PLAIN_DATA
    | Flags.PLAIN_FRAGMENTS
    | Flags.PLAIN_XATTRS
    | Flags.PLAIN_IDS
)


@dataclass(frozen=True, slots=True)
class Zstd:
    """zstd at one of its levels; what it gives is decided by level and version of libzstd."""

    level: int

    name = "zstd"
    flags = Flags.OPTIONS

    def options(self) -> bytes:
        """What the image says about its compressor: level, u32."""
        return struct.pack("<I", self.level)

    def identity(self) -> str:
        """Names all that decides what a block becomes."""
        version = ".".join(map(str, zstandard.ZSTD_VERSION))
        return f"zstd {version} level {self.level}"

    def compress(self, data: bytes) -> bytes | None:
        """`data` in fewer bytes; None where that cannot be done."""
        made = _zstd_compressor(self.level).compress(data)
        return made if len(made) < len(data) else None


@dataclass(frozen=True, slots=True)
class Uncompressed:
    """Everything as it is. Such images name gzip, which nobody has to call then."""

    name = "gzip"
    flags = PLAIN

    def options(self) -> bytes:
        """None."""
        return b""

    def identity(self) -> str:
        """Names all that decides what a block becomes."""
        return "uncompressed"

    def compress(self, data: bytes) -> bytes | None:
        """Never."""
        return None


Codec = Zstd | Uncompressed


@functools.cache
def _zstd_compressor(level: int) -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=level, write_checksum=False, write_content_size=True)


def decompressor(name: str) -> Callable[[bytes, int], bytes]:
    """The function that decompresses (data, at most so many bytes).

    It raises BadSquashfs for damaged data; so does this for a compressor it has none for.
    """
    found = {"zstd": _from_zstd, "gzip": _from_zlib}.get(name)
    if found is None:
        raise BadSquashfs(f"a squashfs compressed with {name} is not read here")
    return found


def _from_zstd(data: bytes, most: int) -> bytes:
    try:
        # The frame's own word for its length is followed blindly by what decompresses.
        if zstandard.frame_content_size(data) > most:
            raise BadSquashfs(f"squashfs: a block has more than {most} bytes")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=most)
    except zstandard.ZstdError as error:
        raise BadSquashfs(f"squashfs: a block cannot be decompressed: {error}") from error


def _from_zlib(data: bytes, most: int) -> bytes:
    try:
        stream = zlib.decompressobj()
        made = stream.decompress(data, most)
        if not stream.eof:
            raise BadSquashfs(f"squashfs: a block is cut off, or has more than {most} bytes")
        return made
    except zlib.error as error:
        raise BadSquashfs(f"squashfs: a block cannot be decompressed: {error}") from error
