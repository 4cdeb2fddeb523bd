"""Where two tables, volumes, hash trees or marks differ: the structure, by its offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kiwilite.inspect.difference import Difference, Pair, first_difference
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.inspect.volume import opened, read_headers
from kiwilite.ondisk import integrity, verity
from kiwilite.ondisk.luks2.header import BINARY_BYTES, BadLuksHeader

Place = tuple[int, str]
"""Where something begins, from the start of the part, and its name."""

_GPT_FIELDS: Final = (
    (0, "signature"), (8, "revision"), (12, "header size"), (16, "CRC32 of the header"),
    (24, "own LBA"), (32, "LBA of the other copy"), (40, "usable LBAs"), (56, "disk GUID"),
    (72, "LBA of the entries"), (80, "number of entries"), (88, "CRC32 of the entries"),
    (92, "rest of the header's sector"),
)  # fmt: skip
_ENTRY: Final = 128
_MBR_TABLE: Final = 446


def by_place(pair: Pair, places: Sequence[Place]) -> Iterator[Difference]:
    """One difference for each named place in which the first byte of a differing block is.

    `places` are in order; a differing block counts for all that begin in it and differ.
    """
    names: set[str] = set()
    ends = [start for start, _ in places[1:]] + [max(pair.one.size, pair.other.size)]
    for first, end in pair.scan.runs:
        for (start, name), stop in zip(places, ends, strict=True):
            low, high = max(first, start), min(end, stop)
            if low >= high or name in names:
                continue
            length = min(high - low, 1 << 20)
            at = first_difference(pair.one.read(low, length), pair.other.read(low, length))
            if at is not None:
                names.add(name)
                yield pair.difference("content", low + at, name)


def mbr_places() -> list[Place]:
    """The first sector."""
    entries = [(_MBR_TABLE + 16 * n, f"entry {n + 1}") for n in range(4)]
    return [(0, "boot code"), (440, "disk signature"), *entries, (510, "boot signature")]


def gpt_places(header: int, entries: int, table: Sequence[Partition]) -> list[Place]:
    """A copy of the GPT whose header and entries begin at these offsets."""
    names = {p.number: f"entry {p.number} ({p.name})" for p in table}
    rows = [(header + at, name) for at, name in _GPT_FIELDS]
    rows += [(entries + _ENTRY * n, names.get(n + 1, f"entry {n + 1}")) for n in range(128)]
    return sorted(rows)


def verity_places(start: int, shape: verity.TreeShape | None, rest: Sequence[Place]) -> list[Place]:
    """A hash tree whose superblock begins at `start`, and what stands behind it."""
    if shape is None:
        return [(start, "hash tree"), *rest]
    tree = start + shape.superblock.hash_block_size
    end = start + shape.hash_area_bytes
    return sorted([(start, "superblock of the hash tree"), (tree, "hash tree"), *rest, (end, "")])


def luks_places(disk: Disk, partition: Partition) -> list[Place]:
    """A LUKS2 volume; what is in it is not opened."""
    try:
        header = read_headers(disk, partition).best
    except BadLuksHeader:
        return [(0, "LUKS2 header")]
    size = header.header_bytes
    rows = [
        (0, "LUKS2 header, binary half"), (BINARY_BYTES, "LUKS2 header, metadata"),
        (size, "second LUKS2 header, binary half"),
        (size + BINARY_BYTES, "second LUKS2 header, metadata"),
    ]  # fmt: skip
    rows += [(s.area.offset, f"keyslot {s.number}") for s in header.metadata.keyslots]
    found, _ = opened(disk, partition, header)
    for segment in header.metadata.segments[:1]:
        if found.geometry is None:
            rows.append((segment.offset, "encrypted sectors"))
            continue
        journal = segment.offset + integrity.SUPERBLOCK_BYTES
        rows += [(segment.offset, "dm-integrity superblock"), (journal, "dm-integrity journal")]
        area = found.geometry.area_start(0) * integrity.SECTOR
        rows.append((area, "encrypted sectors and their tags"))
    return sorted(rows)
