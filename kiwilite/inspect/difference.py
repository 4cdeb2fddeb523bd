"""Where two images differ, as values: byte ranges that are compared, and what was found.

Memory does not grow with the images: both are read in parts of 1 MiB, and where both have
a hole nothing is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from kiwilite.inspect.source import CHUNK, Disk

BLOCK: Final = 4096
SHOWN: Final = 16
"""Bytes of each side that a difference carries."""
_MOST_RUNS: Final = 4096


class Side(NamedTuple):
    """One of the two things compared: `size` bytes of an image from `start` on."""

    disk: Disk
    start: int
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Bytes counted from the side's start, fewer where it ends."""
        return self.disk.read(self.start + offset, max(0, min(length, self.size - offset)))


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not the same. Offsets in bytes, those of the first image."""

    part: str
    """The partition's name, or what else lies there ("MBR", "primary GPT", "seal", "gap ...")."""
    path: str
    """The file in it, and what within that; empty where it is in no file."""
    what: str
    at: int | None = None
    """Where in the first image it begins; None where no bytes stand for it."""
    within: int | None = None
    """Where in the file (or section) it begins."""
    one: bytes = b""
    other: bytes = b""
    """Up to 16 bytes from there on of both images, or of the file in them."""


@dataclass(frozen=True, slots=True)
class Scan:
    """Two sides compared byte by byte: `runs` are differing blocks of 4096, side by side."""

    differing: int
    """Bytes that differ; a rest that only one side has counts as a whole."""
    runs: tuple[tuple[int, int], ...]
    """(first differing byte, end of its last block), from the sides' start; the first 4096."""


class Pair(NamedTuple):
    """Two sides that stand for the same part, and how their bytes differ."""

    part: str
    one: Side
    other: Side
    scan: Scan

    def difference(
        self, what: str, offset: int, path: str = "", within: int | None = None
    ) -> Difference:
        """One that begins `offset` bytes from the start of both sides."""
        return Difference(
            self.part,
            path,
            what,
            self.one.start + offset,
            within,
            self.one.read(offset, SHOWN),
            self.other.read(offset, SHOWN),
        )


def scanned(one: Side, other: Side) -> Scan:
    """Compare two sides; where one ends earlier, the rest of the other differs."""
    common = min(one.size, other.size)
    differing, runs = 0, list[tuple[int, int]]()
    for start, end in _data_of_either(one, other, common):
        for at in range(start, end, CHUNK):
            length = min(CHUNK, end - at)
            a, b = one.read(at, length), other.read(at, length)
            if a != b:
                differing += _add_runs(runs, at, a, b)
    rest = max(one.size, other.size) - common
    if rest:
        _add_run(runs, common, common + rest)
    return Scan(differing + rest, tuple(runs))


def _data_of_either(one: Side, other: Side, length: int) -> Iterator[tuple[int, int]]:
    """Ranges from the sides' start in which a side has no hole, at whole blocks and apart."""
    rows = sorted(
        (low - side.start, high - side.start)
        for side in (one, other)
        for low, high in side.disk.data(side.start, side.start + length)
    )
    done = 0
    for low, high in rows:
        start = max(done, low // BLOCK * BLOCK)
        done = max(done, min(-(-high // BLOCK) * BLOCK, length))
        if start < done:
            yield start, done


def _add_runs(runs: list[tuple[int, int]], base: int, one: bytes, other: bytes) -> int:
    """Note the blocks that differ; how many bytes do."""
    differing = 0
    for at in range(0, len(one), BLOCK):
        a, b = one[at : at + BLOCK], other[at : at + BLOCK]
        if a != b:
            both = xored(a, b)
            differing += len(both) - both.count(0)
            first = len(both) - len(both.lstrip(b"\0"))
            _add_run(runs, base + at + first, base + at + len(a))
    return differing


def _add_run(runs: list[tuple[int, int]], first: int, end: int) -> None:
    if runs and first // BLOCK * BLOCK <= runs[-1][1]:
        runs[-1] = (runs[-1][0], end)
    elif len(runs) < _MOST_RUNS:
        runs.append((first, end))


def xored(one: bytes, other: bytes) -> bytes:
    """Zero where two rows of bytes of the same length are equal."""
    number = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return number.to_bytes(len(one), "little")


def first_difference(one: bytes, other: bytes) -> int | None:
    """Where two rows of bytes part, which may be where one ends; None where they are equal."""
    if one == other:
        return None
    common = min(len(one), len(other))
    both = xored(one[:common], other[:common])
    return len(both) - len(both.lstrip(b"\0"))


def by_attributes(
    one: Mapping[str, Mapping[str, str]], other: Mapping[str, Mapping[str, str]]
) -> Iterator[tuple[str, str]]:
    """Path and words for each file that one side lacks, or that has other attributes there."""
    for path in _in_order(one, other):
        if path not in one or path not in other:
            yield path, "only in the first" if path in one else "only in the second"
            continue
        a, b = one[path], other[path]
        for name in dict.fromkeys([*a, *b]):
            if a.get(name) != b.get(name):
                yield path, f"{name} {a.get(name, 'none')} and {b.get(name, 'none')}"


def _in_order(one: Iterable[str], other: Iterable[str]) -> list[str]:
    return sorted({*one, *other})
