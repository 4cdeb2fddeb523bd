"""Two images byte by byte: are they the same, and if not, which file of which partition differs?

Parts (partitions, tables, gaps between them) are matched by name, so that one that grew
does not make all behind it look different.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from kiwilite.errors import HostError, KiwiliteError
from kiwilite.inspect import compare_boot, compare_filesystem, compare_parts, compare_squashfs
from kiwilite.inspect.content import (
    Content,
    Ext4,
    FatVolume,
    HashTree,
    Luks,
    Squashfs,
    Xfs,
)
from kiwilite.inspect.difference import Difference, Pair, Scan, Side, scanned, xored
from kiwilite.inspect.look import Seen, look
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import BACKUP, PRIMARY, NoTable, Partition, Table
from kiwilite.ondisk import seal, verity

MOST: Final = 8
"""Differences of a part that are named; the others are counted."""
_COUNTED: Final = 1000
WHOLE: Final = "image"
SEAL: Final = "seal"
BEHIND: Final = "behind the squashfs"

Ranges = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class PartDifference:
    """A part that is not the same in both images. Sizes in bytes."""

    part: str
    differing: int
    """How many bytes are not the same."""
    sizes: tuple[int, int]
    named: tuple[Difference, ...]
    """At most 8; the first is about the first differing bytes unless that says less."""
    further: int
    """Differences that are not named, 1000 at most."""
    on_purpose: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """All parts that differ; those with files first, then what follows from them."""

    sizes: tuple[int, int]
    parts: tuple[PartDifference, ...]

    @property
    def is_same(self) -> bool:
        """Whether nothing differs but what is meant to."""
        return all(part.on_purpose for part in self.parts)


def compare(one: Disk, other: Disk, *, fresh: frozenset[str] = frozenset()) -> Comparison:
    """Compare two images. Partitions named in `fresh` are meant to differ.

    Raises BadImage. An image without a table is compared as one row of bytes, and where a
    tool is missing that would tell the file, the bytes are told.
    """
    try:
        seen = look(one), look(other)
    except NoTable:
        return Comparison((one.size, other.size), compare_rows(WHOLE, one, other))
    first, second = (ranges(s.table, s.disk.size) for s in seen)
    parts = []
    for name in _names(first, second):
        here, there = (r.get(name, (0, 0)) for r in (first, second))
        sides = (Side(one, here[0], here[1] - here[0]), Side(other, there[0], there[1] - there[0]))
        pair = _pair(name, *sides)
        if pair is not None:
            parts.append(_part(pair, seen, name in fresh or _seals_only(pair, fresh)))
    parts.sort(key=lambda part: _rank(seen[0], part.part))
    return Comparison((one.size, other.size), tuple(parts))


def _seals_only(pair: Pair, fresh: frozenset[str]) -> bool:
    """Whether it is the seal, and only the digests of what is meant to differ are others."""
    if pair.part != SEAL:
        return False
    try:
        seals = [seal.unpack(side.read(0, seal.MAX_BYTES)) for side in (pair.one, pair.other)]
    except seal.BadSeal:
        return False
    one, other = ([part for part in parts if part.name not in fresh] for parts in seals)
    return one == other


def compare_rows(name: str, one: Disk, other: Disk) -> tuple[PartDifference, ...]:
    """Compare two rows of bytes of which nothing is known: one part of that name, or none."""
    pair = _pair(name, Side(one, 0, one.size), Side(other, 0, other.size))
    return () if pair is None else (_plain(pair),)


def _rank(seen: Seen, part: str) -> int:
    """File systems with the system's files come first, then the ESP, which has the root hash
    of these, then tables and the seal.
    """
    holding = _holding(seen, part)
    if holding is None:
        return 3
    kinds = ((Squashfs, Ext4, Xfs), (FatVolume,))
    return next((n for n, kind in enumerate(kinds) if isinstance(holding[1], kind)), 2)


def _pair(name: str, one: Side, other: Side) -> Pair | None:
    """The two sides, where they differ."""
    scan = scanned(one, other)
    return Pair(name, one, other, scan) if scan.differing else None


def ranges(table: Table, size: int) -> Ranges:
    """All parts of a disk of `size` bytes by name: start and end."""
    rows = [("MBR", 0, table.sector)]
    rows += [(area.part, area.start, area.end) for area in table.areas]
    rows += [(_name(p, table), p.start, p.end) for p in table.partitions]
    rows.sort(key=lambda row: row[1])
    found: Ranges = {}
    at = 0
    for name, start, end in [*rows, ("the end", size, size)]:
        if at < start:
            found |= _gap(f"gap before {name}", at, start)
        if name != "the end":
            found[name] = (start, end)
        at = max(at, end)
    return found


def _name(partition: Partition, table: Table) -> str:
    """The partition's name, with its number where it is not the only one of that name."""
    twice = sum(p.name == partition.name for p in table.partitions) > 1
    return f"{partition.name} #{partition.number}" if twice else partition.name


def _gap(name: str, start: int, end: int) -> Ranges:
    """What no partition has; the seal's place in it apart."""
    place = seal.OFFSET, seal.OFFSET + seal.MAX_BYTES
    if not (start <= place[0] and place[1] <= end):
        return {name: (start, end)}
    return {f"{name}, in front of the seal": (start, place[0]), SEAL: place,
            f"{name}, behind the seal": (place[1], end)}  # fmt: skip


def _names(one: Ranges, other: Ranges) -> list[str]:
    return list(dict.fromkeys([*one, *other]))


def _part(pair: Pair, seen: tuple[Seen, Seen], fresh: bool) -> PartDifference:
    """What differs in a part, told by what both images hold there."""
    if not pair.one.size or not pair.other.size:
        what = "only in the first" if pair.one.size else "only in the second"
        return _told(pair, iter([Difference(pair.part, "", what)]), fresh)
    try:
        named = list(islice(_explained(pair, *seen), MOST + _COUNTED))
    except (HostError, KiwiliteError) as problem:
        at = pair.scan.runs[0][0]
        named = [pair.difference(f"content ({problem.message})", at)]
    return _told(pair, iter(named or [pair.difference("content", pair.scan.runs[0][0])]), fresh)


def _told(pair: Pair, found: Iterator[Difference], fresh: bool) -> PartDifference:
    named = tuple(islice(found, MOST))
    further = sum(1 for _ in found)
    sizes = pair.one.size, pair.other.size
    return PartDifference(pair.part, pair.scan.differing, sizes, named, further, fresh)


def _plain(pair: Pair) -> PartDifference:
    """A part of which nothing is known: its differing blocks."""
    rows = (pair.difference("content", first) for first, _ in pair.scan.runs)
    return _told(pair, rows, False)


def _explained(pair: Pair, one: Seen, other: Seen) -> Iterator[Difference]:
    if pair.part == "MBR":
        return compare_parts.by_place(pair, compare_parts.mbr_places())
    if pair.part == SEAL:
        return compare_parts.by_place(pair, [(0, "digests of parts")])
    if pair.part in (PRIMARY, BACKUP):
        return compare_parts.by_place(pair, _gpt(pair.part, one.table))
    holdings = [_holding(seen, pair.part) for seen in (one, other)]
    if None in holdings:
        return iter([pair.difference("content", first) for first, _ in pair.scan.runs])
    (partition, content), (_, content_other) = (h for h in holdings if h is not None)
    if type(content) is not type(content_other):
        what = f"{type(content).__name__} and {type(content_other).__name__}"
        return iter([pair.difference(what, pair.scan.runs[0][0])])
    return _by_content(pair, one, partition, content, content_other)


def _holding(seen: Seen, name: str) -> tuple[Partition, Content] | None:
    """The partition of that name, and what is in it."""
    for holding in seen.holdings:
        if _name(holding.partition, seen.table) == name:
            return holding.partition, holding.content
    return None


def _by_content(
    pair: Pair, seen: Seen, partition: Partition, one: Content, other: Content
) -> Iterator[Difference]:
    match one, other:
        case FatVolume(), FatVolume():
            yield from compare_boot.explain(pair, one.volume, other.volume)
        case Squashfs(), Squashfs():
            yield from _squashfs(pair, seen, partition, one, other)
        case Ext4(), Ext4():
            yield from compare_filesystem.explain_ext4(pair)
        case Xfs(), Xfs():
            yield from compare_filesystem.explain_xfs(pair)
        case Luks(), Luks():
            places = compare_parts.luks_places(seen.disk, partition)
            yield from compare_parts.by_place(pair, places)
        case HashTree(), HashTree():
            shape = verity.TreeShape(one.superblock)
            yield from compare_parts.by_place(pair, compare_parts.verity_places(0, shape, []))
        case _:
            yield from (pair.difference("content", first) for first, _ in pair.scan.runs)


def _squashfs(
    pair: Pair, seen: Seen, partition: Partition, one: Squashfs, other: Squashfs
) -> Iterator[Difference]:
    """The files, where the squashfs differs, then what stands behind it."""
    used = one.superblock.bytes_used, other.superblock.bytes_used
    end = max(used)
    if pair.scan.runs[0][0] < end:
        yield from compare_squashfs.explain(pair, used)
    behind = tuple((max(a, end), b) for a, b in pair.scan.runs if b > end)
    places = [(end, BEHIND)]
    places += [(max(at, end), name) for at, name in _behind(pair, seen, partition)]
    yield from compare_parts.by_place(pair._replace(scan=Scan(0, behind)), places)


def _behind(pair: Pair, seen: Seen, partition: Partition) -> list[compare_parts.Place]:
    """Hash tree, parity and metadata block, where the policy says that they are here."""
    for record in seen.verity():
        if record.partuuid != partition.guid:
            continue
        rest = [] if record.metadata_offset is None else [(record.metadata_offset, "metadata")]
        if record.hash_partuuid != partition.guid:
            return rest
        if record.fec is not None:
            rest.append((record.fec[0], "error correction data"))
        raw = pair.one.read(record.hash_offset, verity.SUPERBLOCK_SIZE)
        try:
            shape = verity.TreeShape(verity.VeritySuperblock.unpack(raw))
        except verity.BadSuperblock:
            shape = None
        return compare_parts.verity_places(record.hash_offset, shape, rest)
    return []


def _gpt(name: str, table: Table) -> list[compare_parts.Place]:
    """The fields of one copy: the primary begins with its header, the backup ends with it."""
    area = next(a for a in table.areas if a.part == name)
    size = area.end - area.start
    if name == PRIMARY:
        return compare_parts.gpt_places(0, table.sector, table.partitions)
    return compare_parts.gpt_places(size - table.sector, 0, table.partitions)


def compare_files(name: str, one: bytes, other: bytes) -> PartDifference | None:
    """Two files that are no images of disks; None where they are the same."""
    if one == other:
        return None
    found = compare_boot.content_differences(name, one, other)
    rows = [
        Difference(name, path.removeprefix(name).lstrip(": "), what, None, within, a, b)
        for path, what, within, a, b in found
    ]
    common = min(len(one), len(other))
    both = xored(one[:common], other[:common])
    differing = common - both.count(0) + max(len(one), len(other)) - common
    shown = tuple(rows[:MOST])
    return PartDifference(name, differing, (len(one), len(other)), shown, len(rows) - len(shown))
