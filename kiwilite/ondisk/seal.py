"""The seal: digests of a finished disk's parts, so that accidental changes are found.

It vouches for nothing against an attacker, who writes a new one. It is for what no
other structure on the disk covers: the files' data in an ext4, the tables of a FAT, a
boot loader between partitions, the first sector.

A text record at byte 524288, in the free space before the first partition, padded with
zeros to a multiple of 4096 bytes; at most 393216 bytes long:

    KIWILITE SEAL 1
    NAME START LENGTH SHA256      one line per part; bytes, counted from the disk's start
    end SHA256                    of all bytes above this line

A region (a partition, or a part of the first sector) has as many lines as it has parts,
in order and side by side, all with the region's name, in which every byte but "!" to "~"
without "%" stands as %XX. The digest of a part is SHA-256 over (64-bit little-endian
index, block) of every 64 KiB block in it that is not all zeros, the last one as short as
it is; so holes need not be read. How long parts are is the writer's choice: short ones
place a change better.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from urllib.parse import quote, unquote

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.sparse import any_set

OFFSET: Final = 512 * 1024
MAX_BYTES: Final = 384 * 1024
BLOCK: Final = 64 * 1024
MBR: Final = "mbr"
"""Region of boot code and disk signature: bytes 0 up to 446."""
MBR_ENTRIES: Final = "mbr-entries"
"""Region of the rest of the first 512 bytes, apart because it changes when the disk grows."""
BOOT_RECORD: Final = ((MBR, 0, 446), (MBR_ENTRIES, 446, 66))
"""The regions of the first sector."""

_HEAD: Final = b"KIWILITE SEAL 1\n"
_PAD: Final = 4096
_LINE: Final = re.compile(rb"([!-~]+) ([0-9]{1,19}) ([0-9]{1,19}) ([0-9a-f]{64})")
_END: Final = re.compile(rb"end ([0-9a-f]{64})\n")
_LINE_BYTES: Final = 64 + 2 * 15 + 4
"""The most a line has besides the name, on disks up to a petabyte."""

Blocks = Callable[[int, int], Iterable[tuple[int, bytes]]]
"""Takes start and end in bytes; gives offset and content of all that is not zeros, in
pieces that start at multiples of `BLOCK` from the start and are no longer than that."""


class BadSeal(KiwiliteError):
    """There is no seal, or it is damaged itself."""


NOTHING: Final = hashlib.sha256().digest()
"""The digest of zeros."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `start` up to `start + length` of the disk, in the region `name`."""

    name: str
    start: int
    length: int
    digest: bytes

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.length


def digest(start: int, end: int, blocks: Blocks) -> bytes:
    """The digest of a part."""
    h = hashlib.sha256()
    for at, content in blocks(start, end):
        if any_set(content):
            h.update(((at - start) // BLOCK).to_bytes(8, "little"))
            h.update(content)
    return h.digest()


def seal(regions: Sequence[tuple[str, int, int]], blocks: Blocks) -> tuple[Part, ...]:
    """The parts of regions (name, start, length). Reads everything twice: to see what is not
    zeros, and for the digests."""
    return tuple(Part(name, a, b - a, digest(a, b, blocks)) for name, a, b in cut(regions, blocks))


def cut(
    regions: Sequence[tuple[str, int, int]], blocks: Blocks
) -> tuple[tuple[str, int, int], ...]:
    """Name, start and end of the parts of regions (name, start, length).

    They are as short as the room for the record allows; large regions get the longest parts.
    Of a block it is enough to give something that is not zeros.
    """
    used = [_used(start, start + length, blocks) for _, start, length in regions]
    sizes = [BLOCK] * len(regions)
    rows = [_cut(*region[1:], BLOCK, one) for region, one in zip(regions, used, strict=True)]
    while True:
        costs = [
            len(row) * (len(_quoted(name)) + _LINE_BYTES)
            for (name, _, _), row in zip(regions, rows, strict=True)
        ]
        if sum(costs) + _PAD <= MAX_BYTES:
            break
        n = costs.index(max(costs))
        sizes[n] *= 2
        rows[n] = _cut(*regions[n][1:], sizes[n], used[n])
    return tuple(
        (name, a, b) for (name, _, _), row in zip(regions, rows, strict=True) for a, b in row
    )


def _used(start: int, end: int, blocks: Blocks) -> set[int]:
    """Numbers of the blocks that are not all zeros."""
    return {(at - start) // BLOCK for at, content in blocks(start, end) if any_set(content)}


def _cut(start: int, length: int, size: int, used: set[int]) -> list[tuple[int, int]]:
    """A region in parts of `size` bytes; neighbours without anything in them are one."""
    end = start + length
    filled = {index * BLOCK // size for index in used}
    rows: list[tuple[int, int]] = []
    for has_content, group in groupby(range(-(-length // size)), key=filled.__contains__):
        numbers = list(group)
        spans = [(n, n) for n in numbers] if has_content else [(numbers[0], numbers[-1])]
        rows += [(start + a * size, min(end, start + (b + 1) * size)) for a, b in spans]
    return rows


def pack(parts: Iterable[Part]) -> bytes:
    """The record, padded. Raises BadSeal if it gets too long."""
    text = _HEAD + b"".join(
        b"%s %d %d %s\n" % (_quoted(p.name), p.start, p.length, p.digest.hex().encode())
        for p in parts
    )
    text += b"end %s\n" % hashlib.sha256(text).hexdigest().encode()
    padded = text.ljust(-(-len(text) // _PAD) * _PAD, b"\0")
    if len(padded) > MAX_BYTES:
        raise BadSeal(f"the seal has {len(padded)} bytes, at most {MAX_BYTES} fit")
    return padded


def unpack(raw: bytes) -> tuple[Part, ...]:
    """Read the record at the start of `raw`; raises BadSeal, also where there is none."""
    if not raw.startswith(_HEAD):
        raise BadSeal("there is no seal")
    lines = raw[:MAX_BYTES].split(b"\n")
    text = _HEAD
    parts: list[Part] = []
    for line in lines[1:]:
        if found := _LINE.fullmatch(line):
            name, start, length, digits = found.groups()
            sha256 = bytes.fromhex(digits.decode())
            parts.append(Part(_named(name), int(start), int(length), sha256))
            text += line + b"\n"
            continue
        end = _END.fullmatch(line + b"\n")
        if end is None:
            raise BadSeal(f"line {len(parts) + 2} of the seal is damaged")
        break
    else:
        raise BadSeal("the seal has no end")
    if hashlib.sha256(text).hexdigest().encode() != end[1]:
        raise BadSeal("the seal does not have the digest it says")
    return tuple(parts)


def length_of(parts: Iterable[Part]) -> int:
    """Bytes of the record with its padding."""
    return len(pack(parts))


def _quoted(name: str) -> bytes:
    return quote(name, safe="!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~").encode("ascii")


def _named(raw: bytes) -> str:
    return unquote(raw.decode("ascii"))
