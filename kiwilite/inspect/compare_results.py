"""What two builds put into their target folders: the same files with the same bytes?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kiwilite.inspect.compare import MOST, PartDifference, compare, compare_files, compare_rows
from kiwilite.inspect.difference import Difference
from kiwilite.inspect.source import Disk, Piece, opened

DISK: Final = ".raw"
BOOT: Final = ".efi"
PACKAGES: Final = ".packages"
_ABOUT_FILES: Final = ("SHA256SUMS", "kiwilite.result.json")
"""Say of the other files what these say themselves."""
_ALONE: Final = (BOOT, ".roothash")
"""Has nothing of a partition that is meant to differ."""
_SMALL: Final = 1 << 28
"""Bytes of a file that may be read as a whole, to tell more of it."""


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A file that is not the same in both folders."""

    name: str
    parts: tuple[PartDifference, ...]
    told_by_disk: bool = False
    """What differs is in the disk too, and is told there: another format of it, its UKI."""

    @property
    def on_purpose(self) -> bool:
        """Whether nothing but what is meant to differs."""
        return all(part.on_purpose for part in self.parts)


def compare_results(
    one: Path, other: Path, *, fresh: frozenset[str] = frozenset()
) -> tuple[FileDifference, ...]:
    """Compare two target folders. Partitions named in `fresh` are meant to differ.

    The package list comes first: where builds chose other packages, all else follows.
    """
    names = {p.name for folder in (one, other) for p in folder.iterdir() if p.is_file()}
    ordered = sorted(
        names - set(_ABOUT_FILES), key=lambda n: (not n.endswith(PACKAGES), n[-4:] != DISK, n)
    )
    disks = [d for n in ordered if n.endswith(DISK) for d in _files(n, one, other, fresh)]
    meant = bool(disks) and all(disk.on_purpose for disk in disks)
    found: list[FileDifference] = []
    for name in ordered:
        if name.endswith(DISK):
            found += [disk for disk in disks if disk.name == name]
            continue
        for row in _files(name, one, other, fresh):
            follows = bool(disks) and not name.endswith(PACKAGES)
            if follows and not (meant and name.endswith(_ALONE)):
                parts = tuple(replace(part, on_purpose=meant) for part in row.parts)
                found.append(FileDifference(name, parts, told_by_disk=True))
            else:
                found.append(row)
    return tuple(found)


def _files(name: str, one: Path, other: Path, fresh: frozenset[str]) -> Iterator[FileDifference]:
    """The difference between the files of that name, if there is one."""
    first, second = one / name, other / name
    if not (first.exists() and second.exists()):
        what = "only in the first folder" if first.exists() else "only in the second folder"
        sizes = tuple(p.stat().st_size if p.exists() else 0 for p in (first, second))
        part = PartDifference(
            name, max(sizes), (sizes[0], sizes[1]), (Difference(name, "", what),), 0
        )
        yield FileDifference(name, (part,))
        return
    if name.endswith(DISK):
        with opened(first) as disk, opened(second) as disk_other:
            parts = compare(disk, disk_other, fresh=fresh).parts
    elif name.endswith(PACKAGES):
        parts = tuple(_package_lists(name, first.read_text(), second.read_text()))
    elif max(first.stat().st_size, second.stat().st_size) <= _SMALL and name.endswith(BOOT):
        parts = tuple(filter(None, [compare_files(name, first.read_bytes(), second.read_bytes())]))
    else:
        parts = _bytes(first, second)
    if parts:
        yield FileDifference(name, parts)


def _bytes(one: Path, other: Path) -> tuple[PartDifference, ...]:
    """Two files as rows of bytes, whatever they are."""
    disks = [Disk((Piece(p, 0, p.stat().st_size),), p.stat().st_size, "raw") for p in (one, other)]
    try:
        return compare_rows(one.name, *disks)
    finally:
        for disk in disks:
            disk.close()


def _package_lists(name: str, one: str, other: str) -> Iterator[PartDifference]:
    """Which packages are in one list only, or in another version: NAME|EPOCH|VERSION|..."""
    if one == other:
        return
    first, second = ({row.split("|")[0]: row for row in text.splitlines()} for text in (one, other))
    rows = [
        Difference(name, "", f"{first.get(key, 'no ' + key)} and {second.get(key, 'none')}")
        for key in sorted({*first, *second})
        if first.get(key) != second.get(key)
    ] or [Difference(name, "", "the order of the packages")]
    shown = tuple(rows[:MOST])
    sizes = len(one.encode()), len(other.encode())
    differing = sum(a != b for a, b in zip(one.encode(), other.encode(), strict=False))
    yield PartDifference(
        name, differing + abs(sizes[0] - sizes[1]), sizes, shown, len(rows) - len(shown)
    )
