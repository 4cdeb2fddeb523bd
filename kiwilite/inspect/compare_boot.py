"""Where two EFI system partitions differ: file, section of a unified kernel image, initrd file."""

from __future__ import annotations

import lzma
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from kiwilite.inspect.bootimage import raw_sections
from kiwilite.inspect.difference import (
    SHOWN,
    Difference,
    Pair,
    Side,
    by_attributes,
    first_difference,
)
from kiwilite.inspect.source import CHUNK, scratch_folder
from kiwilite.inspect.tools import streamed
from kiwilite.ondisk import cpio, fat

_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_XZ: Final = b"\xfd7zXZ\0"
_GZIP: Final = b"\x1f\x8b"
_WITH_GZIP_HEADER: Final = 31
_MOST_UNPACKED: Final = 1 << 30
_MOST_SECTIONED: Final = 1 << 28
"""Bytes of a boot image that is read as a whole, for its sections."""


def explain(pair: Pair, one: fat.Fat, other: fat.Fat) -> Iterator[Difference]:
    """Files that one side lacks or that differ; then what differs outside of these."""
    first, second = ({f.path: f for f in volume.files} for volume in (one, other))
    told: list[tuple[int, int]] = []
    for path in sorted({*first, *second}):
        name = f"/{path}"
        if path not in first or path not in second:
            what = "only in the first" if path in first else "only in the second"
            yield Difference(pair.part, name, what)
            continue
        a, b = first[path], second[path]
        if a.is_folder or b.is_folder:
            continue
        here = _InFat(pair.one, tuple(one.runs(a)))
        there = _InFat(pair.other, tuple(other.runs(b)))
        at = _parted(here, there)
        if at is not None:
            told += [*here.places, *there.places]
            yield from _file(pair, name, here, there, at)
    yield from _elsewhere(pair, one, told)


class _InFat(NamedTuple):
    """A file by its byte ranges in the file system."""

    side: Side
    places: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        return sum(end - start for start, end in self.places)

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the file, fewer where it ends."""
        parts, at = [], 0
        for start, end in self.places:
            low, high = max(offset, at), min(offset + length, at + end - start)
            if low < high:
                parts.append(self.side.read(start + low - at, high - low))
            at += end - start
        return b"".join(parts)

    def byte(self, offset: int) -> int | None:
        """Where a byte of the file stands in the image."""
        for start, end in self.places:
            if offset < end - start:
                return self.side.start + start + offset
            offset -= end - start
        return None


def _parted(one: _InFat, other: _InFat) -> int | None:
    """The first byte at which two files part, read piece by piece."""
    for at in range(0, max(one.size, other.size), CHUNK):
        step = first_difference(one.read(at, CHUNK), other.read(at, CHUNK))
        if step is not None:
            return at + step
    return None


def _file(pair: Pair, name: str, one: _InFat, other: _InFat, at: int) -> Iterator[Difference]:
    """Two files that part at byte `at`: by section where they are boot images."""
    if max(one.size, other.size) > _MOST_SECTIONED or not name.lower().endswith(".efi"):
        shown = one.read(at, SHOWN), other.read(at, SHOWN)
        yield Difference(pair.part, name, "content", one.byte(at), at, *shown)
        return
    whole = one.read(0, one.size), other.read(0, other.size)
    for path, what, within, a, b in content_differences(name, *whole):
        start = None if within is None else one.byte(within)
        yield Difference(pair.part, path, what, start, within, a, b)


Found = tuple[str, str, int | None, bytes, bytes]
"""Path and what is within it, words, offset in the file, bytes of both from there on."""


def content_differences(name: str, one: bytes, other: bytes) -> Iterator[Found]:
    """Of two versions of a file: by section where both are PE images, else the first bytes."""
    try:
        first, second = _sections(one), _sections(other)
    except struct.error:
        first, second = {}, {}
    sections = sorted({*first, *second}, key=lambda key: first.get(key, (len(one), 0))[0])
    found = False
    for key in sections:
        path = f"{name}: section {key}"
        if key not in first or key not in second:
            found = True
            what = "only in the first" if key in first else "only in the second"
            yield path, what, None, b"", b""
            continue
        (start, end), (start_other, end_other) = first[key], second[key]
        a, b = one[start:end], other[start_other:end_other]
        at = first_difference(a, b)
        if at is None:
            continue
        found = True
        members = list(_members(path, a, b)) if key.startswith(".initrd") else []
        yield from members
        if not members:
            yield path, "content", start + at, a[at : at + SHOWN], b[at : at + SHOWN]
    at = first_difference(one, other)
    if not found and at is not None:
        place = "headers" if first and at < min(start for start, _ in first.values()) else ""
        path = f"{name}: {place}" if place else name
        yield path, "content", at, one[at : at + SHOWN], other[at : at + SHOWN]


def _sections(raw: bytes) -> dict[str, tuple[int, int]]:
    """Byte ranges by name; of those with the same name the second is `NAME 2`."""
    found: dict[str, tuple[int, int]] = {}
    if raw[:2] != b"MZ":
        return found
    for name, start, _, used in raw_sections(raw):
        number = 1 + sum(key.split(" ")[0] == name for key in found)
        found[name if number == 1 else f"{name} {number}"] = (start, start + used)
    return found


def _members(path: str, one: bytes, other: bytes) -> Iterator[Found]:
    """Files of two initrds. None where they cannot be read, or are the same but for packing."""
    first, second = _initrd(one), _initrd(other)
    if first is None or second is None:
        return
    for name, what in by_attributes(_attributes(first), _attributes(second)):
        yield f"{path}: /{name}", what, None, b"", b""
    for name in sorted({*first} & {*second}):
        a, b = first[name].data, second[name].data
        at = first_difference(a, b)
        if at is not None:
            yield f"{path}: /{name}", f"content, from byte {at}", None, *_shown(a, b, at)


def _shown(one: bytes, other: bytes, at: int) -> tuple[bytes, bytes]:
    return one[at : at + SHOWN], other[at : at + SHOWN]


def _initrd(raw: bytes) -> dict[str, cpio.Entry] | None:
    """All files of an initrd, those in compressed archives too; None where it cannot be read."""
    found: dict[str, cpio.Entry] = {}
    at = 0
    try:
        while at < len(raw):
            if raw[at] == 0:
                at += len(raw) - at - len(raw[at:].lstrip(b"\0"))
            elif raw[at : at + 6] == b"070701":
                entries, at = cpio.read_one(raw, at)
                found.update({e.path: e for e in entries})
            else:
                packed = _decompressed(raw[at:])
                if packed is None:
                    return None
                found.update({e.path: e for e in cpio.read(packed)})
                break
    except cpio.BadCpio:
        return None
    return found


def _decompressed(raw: bytes) -> bytes | None:
    """At most 1 GiB of what was compressed, so that a bomb is only cut off."""
    try:
        if raw.startswith(_ZSTD):
            with scratch_folder() as scratch:
                packed = scratch / "packed"
                packed.write_bytes(raw)
                with streamed("zstd", "-dcq", packed) as stream:
                    return stream.read(_MOST_UNPACKED)
        if raw.startswith(_XZ):
            return lzma.LZMADecompressor().decompress(raw, _MOST_UNPACKED)
        if raw.startswith(_GZIP):
            return zlib.decompressobj(_WITH_GZIP_HEADER).decompress(raw, _MOST_UNPACKED)
    except (lzma.LZMAError, zlib.error):
        return None
    return None


def _attributes(files: Mapping[str, cpio.Entry]) -> dict[str, dict[str, str]]:
    return {
        path: {
            "mode": stat.filemode(e.mode),
            "owner": f"{e.uid}:{e.gid}",
            "time": str(e.mtime),
            "size": str(len(e.data)),
            "device": f"{e.rdev_major}:{e.rdev_minor}",
        }
        for path, e in files.items()
    }


def _elsewhere(pair: Pair, volume: fat.Fat, told: list[tuple[int, int]]) -> Iterator[Difference]:
    """What differs and is in no file that was named."""
    seen: set[str] = set()
    for first, end in pair.scan.runs:
        at = _first_outside(pair.one, pair.other, first, end, told)
        if at is None:
            continue
        place = _place(volume, at)
        if place not in seen:
            seen.add(place)
            yield pair.difference("content", at, place)


def _first_outside(
    one: Side, other: Side, start: int, end: int, told: list[tuple[int, int]]
) -> int | None:
    """The first differing byte of a run that is in none of the ranges."""
    at = start
    while at < end:
        inside = next((stop for low, stop in told if low <= at < stop), None)
        if inside is not None:
            at = inside
            continue
        stop = min([low for low, _ in told if low > at] + [end])
        length = min(stop - at, 1 << 20)
        parted = first_difference(one.read(at, length), other.read(at, length))
        if parted is not None:
            return at + parted
        at += length
    return None


def _place(volume: fat.Fat, at: int) -> str:
    """Words for a byte of a FAT that is in no file's content."""
    shape = volume.shape
    if at < shape.reserved:
        return "boot sectors"
    if at < shape.root_start:
        return "FATs"
    if at < shape.data_start:
        return "entries of the folder /"
    for file in volume.files:
        if any(start <= at < end for start, end in volume.runs(file)):
            return f"entries of the folder /{file.path}" if file.is_folder else f"/{file.path}"
    return "free clusters" if at < shape.data_end else "behind the FAT"
