"""FAT12, FAT16 and FAT32, read only: files, where their bytes stand, and what is amiss.

Boot sector (little-endian):

    11  2  bytes per sector               32  4  sectors, where the 16-bit number is 0
    13  1  sectors per cluster            36  4  FAT32: sectors of a FAT
    14  2  reserved sectors               44  4  FAT32: first cluster of the root folder
    16  1  number of FATs                 48  2  FAT32: sector of FSInfo
    17  2  entries of the root folder     50  2  FAT32: sector of the boot sector's copy
    19  2  sectors                       510  2  0x55 0xAA
    22  2  sectors of a FAT, 0 on FAT32

Behind the reserved sectors come the FATs, the root folder (not on FAT32), the clusters,
numbered from 2. The number of clusters alone decides on the kind: below 4085 FAT12,
below 65525 FAT16. A FAT has one entry for each cluster: 0 free, the number of the next
one, or the end of a file.

Folder entry, 32 bytes: 0 name (8 + 3 characters), 11 attributes, 20 and 26 the halves of
the first cluster, 28 size. Attributes 0x0f mark a part of a long name, which stands
before the entry it is for, last part first, 13 UTF-16 units in each.

Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification 1.03.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from kiwilite.errors import KiwiliteError

ReadAt = Callable[[int, int], bytes]
"""Takes a byte offset within the file system, and a number of bytes."""

_BOOT: Final = struct.Struct("<3s8sHBHBHHBHHHII")
_BOOT32: Final = struct.Struct("<IHHIHH")
_MAGIC: Final = b"\x55\xaa"
_ENTRY: Final = 32
_FOLDER: Final = 0x10
_LABEL: Final = 0x08
_LONG_NAME: Final = 0x0F
_MOST_ENTRIES: Final = 1 << 16
_DEEPEST: Final = 32


class BadFat(KiwiliteError):
    """There is no FAT file system that could be read."""


@dataclass(frozen=True, slots=True)
class FatFault:
    """Bytes `start` up to `end` of the file system that are not as they should be."""

    start: int
    end: int
    message: str


@dataclass(frozen=True, slots=True)
class FatFile:
    """A file or folder: its path without a leading slash, and its clusters in order."""

    path: str
    size: int
    clusters: tuple[int, ...]
    is_folder: bool


@dataclass(frozen=True, slots=True)
class FatShape:
    """The sizes that the boot sector gives; all in bytes but the numbers of things."""

    bits: int
    sector: int
    cluster: int
    reserved: int
    fats: int
    fat_bytes: int
    root_entries: int
    root_cluster: int
    clusters: int
    total: int

    @property
    def root_start(self) -> int:
        """Where the root folder of FAT12 and FAT16 begins."""
        return self.reserved + self.fats * self.fat_bytes

    @property
    def data_start(self) -> int:
        """Where cluster 2 begins."""
        size = self.root_entries * _ENTRY
        return self.root_start + -(-size // self.sector) * self.sector

    @property
    def data_end(self) -> int:
        """Behind the last cluster."""
        return self.data_start + self.clusters * self.cluster

    def at(self, cluster: int) -> int:
        """Where a cluster begins."""
        return self.data_start + (cluster - 2) * self.cluster


@dataclass(frozen=True, slots=True)
class Fat:
    """A file system that was read. `free` and `used` are cluster ranges in bytes."""

    shape: FatShape
    files: tuple[FatFile, ...]
    faults: tuple[FatFault, ...]
    free: tuple[tuple[int, int], ...]

    def find(self, path: str) -> FatFile | None:
        """A file by its path; case does not count."""
        return next((f for f in self.files if f.path.lower() == path.lower()), None)

    def runs(self, file: FatFile) -> Iterator[tuple[int, int]]:
        """The byte ranges (start, end) of a file's content, in its order."""
        left = file.size if not file.is_folder else len(file.clusters) * self.shape.cluster
        for first, count in _in_a_row(file.clusters):
            start = self.shape.at(first)
            length = min(left, count * self.shape.cluster)
            yield start, start + length
            left -= length

    def content(self, file: FatFile, read: ReadAt) -> bytes:
        """A file's bytes."""
        return b"".join(read(start, end - start) for start, end in self.runs(file))


def _in_a_row(clusters: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    for _, group in groupby(enumerate(clusters), key=lambda item: item[1] - item[0]):
        members = [cluster for _, cluster in group]
        yield members[0], len(members)


def read_shape(boot: bytes, size: int) -> FatShape:
    """What the first sector says, for a partition of `size` bytes; raises BadFat."""
    if len(boot) < 512 or boot[510:512] != _MAGIC:
        raise BadFat("no boot sector with 0x55 0xAA")
    _, _, sector, per_cluster, reserved, fats, root, total16, _, fat16, _, _, _, total32 = (
        _BOOT.unpack_from(boot)
    )
    fat32, _, _, root_cluster, _, _ = _BOOT32.unpack_from(boot, 36)
    if sector not in (512, 1024, 2048, 4096) or not per_cluster or per_cluster & (per_cluster - 1):
        raise BadFat(f"sectors of {sector} bytes, {per_cluster} to a cluster")
    fat_sectors, total = fat16 or fat32, total16 or total32
    if not reserved or fats not in (1, 2) or not fat_sectors or total * sector > size:
        raise BadFat(f"{reserved} reserved sectors, {fats} FATs of {fat_sectors}, {total} in all")
    root_sectors = -(-root * _ENTRY // sector)
    clusters = (total - reserved - fats * fat_sectors - root_sectors) // per_cluster
    if clusters < 1:
        raise BadFat("there is no room for a cluster")
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    if (bits == 32) != (root == 0) or fat_sectors * sector * 8 < (clusters + 2) * bits:
        raise BadFat(f"a FAT of {fat_sectors} sectors does not go with {clusters} clusters")
    return FatShape(
        bits, sector, per_cluster * sector, reserved * sector, fats, fat_sectors * sector,
        root, root_cluster if bits == 32 else 0, clusters, total * sector,
    )  # fmt: skip


def read(read_at: ReadAt, size: int) -> Fat:
    """The file system in a partition of `size` bytes. Raises BadFat where it cannot be read."""
    shape = read_shape(read_at(0, 512), size)
    walk = _Walk(shape, read_at)
    walk.compare_copies()
    root = FatFile("", 0, walk.chain(shape.root_cluster, "/") if shape.bits == 32 else (), True)
    walk.folder(root, 0)
    walk.lost_clusters()
    free = [n for n in range(2, shape.clusters + 2) if not walk.table[n]]
    runs = tuple((shape.at(a), shape.at(a + n)) for a, n in _in_a_row(tuple(free)))
    return Fat(shape, tuple(walk.files), tuple(walk.faults), runs)


def _table(raw: bytes, shape: FatShape) -> list[int]:
    """The entries of a FAT, for clusters 0 up to the last."""
    count = shape.clusters + 2
    if shape.bits == 12:
        pairs = (int.from_bytes(raw[i : i + 3], "little") for i in range(0, len(raw) - 2, 3))
        return [n for pair in pairs for n in (pair & 0xFFF, pair >> 12)][:count]
    if shape.bits == 16:
        return list(struct.unpack_from(f"<{count}H", raw))
    return [n & 0x0FFFFFFF for n in struct.unpack_from(f"<{count}I", raw)]


@dataclass(slots=True)
class _Walk:
    """What is collected on the way through the folders."""

    shape: FatShape
    read_at: ReadAt
    files: list[FatFile] = field(default_factory=list)
    faults: list[FatFault] = field(default_factory=list)
    owners: dict[int, str] = field(default_factory=dict)
    table: list[int] = field(init=False)

    def __post_init__(self) -> None:
        s = self.shape
        self.table = _table(self.read_at(s.reserved, s.fat_bytes), s)

    def compare_copies(self) -> None:
        """Both FATs are the same, and so is the boot sector's copy of FAT32."""
        s = self.shape
        first = self.read_at(s.reserved, s.fat_bytes)
        if s.fats == 2:
            start = s.reserved + s.fat_bytes
            self._compare(first, self.read_at(start, s.fat_bytes), s.reserved, start, "FATs")
        # The first two entries repeat the medium's type and have all bits set otherwise.
        end_mark = {12: 0xFFF, 16: 0xFFFF, 32: 0x0FFFFFFF}[s.bits]
        medium = self.read_at(21, 1)[0]
        if self.table[0] != end_mark & ~0xFF | medium:
            self.fault(s.reserved, s.reserved + 4, "the FAT does not begin with the medium's type")
        unused = first[-(-(s.clusters + 2) * s.bits // 8) :]
        if unused.count(0) != len(unused):
            at = s.reserved + s.fat_bytes
            self.fault(at - len(unused), at, "the FAT has entries for clusters that do not exist")
        copy = int.from_bytes(self.read_at(50, 2), "little") if s.bits == 32 else 0
        if copy and copy * s.sector < s.reserved:
            self._compare(
                self.read_at(0, 512), self.read_at(copy * s.sector, 512),
                0, copy * s.sector, "boot sectors",
            )  # fmt: skip

    def _compare(self, one: bytes, other: bytes, first: int, second: int, what: str) -> None:
        if one == other:
            return
        at = next(i for i in range(len(one)) if one[i] != other[i])
        self.fault(first + at, first + at + 1, f"the two {what} differ, at byte {at}")
        self.fault(second + at, second + at + 1, f"the two {what} differ, at byte {at}")

    def fault(self, start: int, end: int, message: str) -> None:
        """Take note of something amiss."""
        self.faults.append(FatFault(start, end, message))

    def _entry_place(self, cluster: int) -> tuple[int, int]:
        at = self.shape.reserved + cluster * self.shape.bits // 8
        return at, at + 4

    def chain(self, first: int, path: str) -> tuple[int, ...]:
        """A file's clusters."""
        clusters: list[int] = []
        last = {12: 0xFF8, 16: 0xFFF8, 32: 0x0FFFFFF8}[self.shape.bits]
        at = first
        while True:
            if not 2 <= at < self.shape.clusters + 2:
                place = self._entry_place(clusters[-1]) if clusters else (0, 512)
                self.fault(*place, f"{path}: the chain of clusters leads to {at}, which is none")
                return tuple(clusters)
            other = self.owners.setdefault(at, path)
            if other != path or at in clusters[:1] or len(clusters) > self.shape.clusters:
                self.fault(*self._entry_place(at), f"cluster {at} is part of {other} and {path}")
                return tuple(clusters)
            clusters.append(at)
            at = self.table[at]
            if at >= last:
                return tuple(clusters)

    def folder(self, here: FatFile, depth: int) -> None:
        """Everything in a folder and below it."""
        s = self.shape
        if here.clusters or s.bits == 32 or here.path:
            places = [s.at(c) for c in here.clusters]
            raw = b"".join(self.read_at(at, s.cluster) for at in places)
        else:
            places, raw = [s.root_start], self.read_at(s.root_start, s.data_start - s.root_start)
        block = len(raw) // max(1, len(places))
        long_name: list[bytes] = []
        for at in range(0, len(raw), _ENTRY):
            entry = raw[at : at + _ENTRY]
            if not entry[0]:
                if raw[at:].count(0) != len(raw) - at:
                    start = places[at // block] + at % block
                    self.fault(start, places[-1] + block, f"/{here.path}: entries behind the end")
                return
            if entry[0] == 0xE5:
                long_name = []
            elif entry[11] & 0x3F == _LONG_NAME:
                long_name.insert(0, entry)
            else:
                place = places[at // block] + at % block
                self._entry(here, entry, long_name, place, depth)
                long_name = []

    def _entry(
        self, here: FatFile, entry: bytes, long_name: list[bytes], place: int, depth: int
    ) -> None:
        attributes = entry[11]
        short = _short_name(entry)
        if attributes & _LABEL or short in (".", ".."):
            return
        name = _long_name(long_name, entry[:11])
        if name is None:
            start = place - len(long_name) * _ENTRY
            self.fault(start, place + _ENTRY, f"{here.path}/{short}: the long name is damaged")
            name = short
        path = f"{here.path}/{name}".lstrip("/")
        size = int.from_bytes(entry[28:32], "little")
        high = int.from_bytes(entry[20:22], "little") if self.shape.bits == 32 else 0
        first = high << 16 | int.from_bytes(entry[26:28], "little")
        is_folder = bool(attributes & _FOLDER)
        clusters = self.chain(first, path) if first or is_folder else ()
        wanted = -(-size // self.shape.cluster)
        if is_folder != (size == 0 and bool(clusters)) or (
            not is_folder and wanted != len(clusters)
        ):
            message = f"{path}: {size} bytes in {len(clusters)} clusters"
            self.fault(place, place + _ENTRY, message)
            size = min(size, len(clusters) * self.shape.cluster)
        found = FatFile(path, size, clusters, is_folder)
        self.files.append(found)
        if is_folder and depth < _DEEPEST and len(self.files) < _MOST_ENTRIES:
            self.folder(found, depth + 1)

    def lost_clusters(self) -> None:
        """Clusters in use that belong to no file."""
        lost = [
            n for n in range(2, self.shape.clusters + 2) if self.table[n] and n not in self.owners
        ]
        for first, count in _in_a_row(tuple(lost)):
            start, _ = self._entry_place(first)
            _, end = self._entry_place(first + count - 1)
            bad = {12: 0xFF7, 16: 0xFFF7, 32: 0x0FFFFFF7}[self.shape.bits]
            if self.table[first] != bad:
                self.fault(start, end, f"{count} clusters from {first} on belong to no file")


def _short_name(entry: bytes) -> str:
    base = entry[:8].decode("cp437").rstrip()
    extension = entry[8:11].decode("cp437").rstrip()
    # Two bits keep names that are lower case as a whole.
    base = base.lower() if entry[12] & 0x08 else base
    extension = extension.lower() if entry[12] & 0x10 else extension
    return f"{base}.{extension}" if extension else base


def _long_name(parts: list[bytes], short: bytes) -> str | None:
    """The name that long entries make (in order), or the short one; None if they are damaged."""
    if not parts:
        return _short_name(short + bytes(21))
    check = 0
    for byte in short:
        check = ((check & 1) << 7 | check >> 1) + byte & 0xFF
    numbers = [p[0] & 0x3F for p in parts]
    if numbers != list(range(1, len(parts) + 1)) or not parts[-1][0] & 0x40:
        return None
    if any(p[13] != check for p in parts):
        return None
    units = b"".join(p[1:11] + p[14:26] + p[28:32] for p in parts)
    try:
        return units.decode("utf-16-le").partition("\0")[0]
    except UnicodeDecodeError:
        return None
