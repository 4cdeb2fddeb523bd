"""Power cuts: what a disk may hold when its power is lost, from a log of its writes.

A disk keeps what it had written before a flush that was completed. Of what it was given
after that it may have written anything: some writes and not others, in any order, and of
the one under way only some sectors. `cut` draws such a moment, `replay` makes the disk.

The log is that of QEMU's driver blklogwrites, in the format of the kernel's dm-log-writes
(drivers/md/dm-log-writes.c; "Device-mapper log-writes" in its documentation). It holds
requests in the order in which they were completed, before the guest learns of it: so
what the guest did because of a flush stands behind that flush. Numbers are little-endian;
sectors are of the size that the superblock says.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag
from itertools import pairwise
from pathlib import Path
from typing import Literal

MAGIC = 0x6A736677736872
VERSION = 1
_SUPERBLOCK = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_KEEP = (0.0, 0.1, 0.5, 0.9, 1.0)  # how much of what was not flushed reaches the disk


class BadWriteLog(ValueError):
    """The log is not one, or its parts contradict each other; says where."""


class Flag(IntFlag):
    """What an entry is, besides a write."""

    FLUSH = 1
    FUA = 2  # a write that is on the disk when it is completed
    DISCARD = 4
    MARK = 8  # a text in the log, nothing for the disk
    METADATA = 16


@dataclass(frozen=True, slots=True)
class Superblock:
    """The first sector of the log.

    0 magic u64 (0x6a736677736872) | 8 version u64 (1) | 16 number of entries u64 |
    24 sector size in bytes u32 | zeros.
    """

    entries: int
    sector_size: int

    def pack(self) -> bytes:
        """One sector."""
        packed = _SUPERBLOCK.pack(MAGIC, VERSION, self.entries, self.sector_size)
        return packed.ljust(self.sector_size, b"\0")

    @classmethod
    def unpack(cls, raw: bytes) -> Superblock:
        """Raises BadWriteLog."""
        if len(raw) < _SUPERBLOCK.size:
            raise BadWriteLog("the log is shorter than its superblock")
        magic, version, entries, sector_size = _SUPERBLOCK.unpack_from(raw)
        if magic != MAGIC:
            raise BadWriteLog(f"magic 0x{magic:x} at offset 0 is not 0x{MAGIC:x}")
        if version != VERSION:
            raise BadWriteLog(f"version {version} at offset 8 is not {VERSION}")
        if sector_size < 512 or sector_size & (sector_size - 1):
            raise BadWriteLog(f"sector size {sector_size} at offset 24 is not possible")
        return cls(entries, sector_size)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request; its own sector is followed by its data, if it has any.

    0 first sector u64 | 8 number of sectors u64 | 16 flags u64 | 24 length of what
    follows in this same sector u64: the text of a mark | 32 that text | zeros.

    A discard has sectors and no data. `data` is the offset of the data in the log in bytes.
    """

    sector: int
    sectors: int
    flags: Flag
    data: int
    text: bytes = b""

    @property
    def is_flush(self) -> bool:
        return Flag.FLUSH in self.flags

    @property
    def changes_the_disk(self) -> bool:
        return self.sectors > 0 and Flag.MARK not in self.flags

    @property
    def has_data(self) -> bool:
        return self.changes_the_disk and Flag.DISCARD not in self.flags

    def pack(self, sector_size: int) -> bytes:
        """The entry's sector, without its data."""
        packed = _ENTRY.pack(self.sector, self.sectors, self.flags, len(self.text))
        return (packed + self.text).ljust(sector_size, b"\0")

    @classmethod
    def unpack(cls, raw: bytes, offset: int) -> Entry:
        """Of the sector `raw` at byte `offset` of the log. Raises BadWriteLog."""
        sector, sectors, flags, length = _ENTRY.unpack_from(raw)
        if flags > sum(Flag):
            raise BadWriteLog(f"flags 0x{flags:x} of the entry at {offset} are unknown")
        text = raw[_ENTRY.size : _ENTRY.size + length]
        if len(text) < length or any(raw[_ENTRY.size + length :]):
            raise BadWriteLog(f"there is no entry at {offset}")
        return cls(sector, sectors, Flag(flags), offset + len(raw), text)


@dataclass(frozen=True, slots=True)
class WriteLog:
    """A log file and its entries in order."""

    path: Path
    sector_size: int
    entries: tuple[Entry, ...]

    def writes_to(self, sector: int) -> Iterator[tuple[int, bytes]]:
        """Number of the entry and the sector's data, for each write of that sector."""
        with self.path.open("rb") as file:
            for number, entry in enumerate(self.entries):
                if entry.has_data and entry.sector <= sector < entry.sector + entry.sectors:
                    at = entry.data + (sector - entry.sector) * self.sector_size
                    yield number, os.pread(file.fileno(), self.sector_size, at)


def read(path: Path) -> WriteLog:
    """All entries that the superblock counts. Raises BadWriteLog, OSError."""
    with path.open("rb") as file:
        end = os.fstat(file.fileno()).st_size
        superblock = Superblock.unpack(os.pread(file.fileno(), 512, 0))
        size, offset = superblock.sector_size, superblock.sector_size
        entries = []
        for _ in range(superblock.entries):
            raw = os.pread(file.fileno(), size, offset)
            if len(raw) < size:
                raise BadWriteLog(f"the log ends at {end}, before its entry at {offset}")
            entry = Entry.unpack(raw, offset)
            offset = entry.data + (entry.sectors * size if entry.has_data else 0)
            if offset > end:
                raise BadWriteLog(f"the log ends at {end}, within the data of its last entry")
            entries.append(entry)
    return WriteLog(path, size, tuple(entries))


@dataclass(frozen=True, slots=True)
class Torn:
    """A write of which only some units of `unit` bytes of the disk were written: those in `kept`.

    Units are counted from the one in which the write begins.
    """

    number: int
    unit: Literal[512, 4096]
    kept: frozenset[int]


@dataclass(frozen=True, slots=True)
class Cut:
    """A moment: the entries before `point` were completed, those before `durable` are safe.

    `lost` are the numbers of the entries in between that did not reach the disk.
    """

    point: int
    durable: int
    lost: frozenset[int]
    torn: Torn | None

    def describe(self) -> str:
        """One line for a protocol."""
        torn = "none torn"
        if self.torn is not None:
            torn = f"entry {self.torn.number} torn at {self.torn.unit}"
            torn += f", kept {len(self.torn.kept)}: {_shortened(_ranges(self.torn.kept))}"
        lost = f"lost {len(self.lost)}: {_ranges(self.lost)}" if self.lost else "lost none"
        return f"point {self.point}, flushed before {self.durable}, {lost}, {torn}"


def _shortened(text: str, length: int = 60) -> str:
    return text if len(text) <= length else f"{text[:length]}…"


def cut(log: WriteLog, rng: random.Random, first: int, last: int) -> Cut:
    """A moment between the entries `first` and `last`.

    Stretches from flush to flush are drawn, and then a moment within one: so the few
    writes of a header count as much as the many that follow. Mostly it is a stretch with
    several writes, of which some can be lost.
    """
    flushes = [n for n in range(first, last) if log.entries[n].is_flush]
    bounds = sorted({first, *(n + 1 for n in flushes), last})
    stretches = list(pairwise(bounds))
    several = [s for s in stretches if sum(_may_be_lost(e) for e in log.entries[slice(*s)]) > 1]
    begin, end = rng.choice(several if several and rng.random() < 0.75 else stretches)
    point = rng.randint(begin + 1, end)
    durable = 1 + max((n for n in range(point) if log.entries[n].is_flush), default=-1)
    open_writes = [n for n in range(durable, point) if _may_be_lost(log.entries[n])]
    keep = rng.choice(_KEEP)
    lost = {n for n in open_writes if rng.random() >= keep}
    torn = None
    reached = [n for n in open_writes if n not in lost and log.entries[n].has_data]
    if reached and rng.random() < 0.5:
        torn = _tear(log, rng, rng.choice(reached))
    return Cut(point, durable, frozenset(lost), torn)


def _may_be_lost(entry: Entry) -> bool:
    return entry.changes_the_disk and Flag.FUA not in entry.flags


def _tear(log: WriteLog, rng: random.Random, number: int) -> Torn:
    unit: Literal[512, 4096] = rng.choice((512, 4096))
    entry = log.entries[number]
    begin, end = (at * log.sector_size for at in (entry.sector, entry.sector + entry.sectors))
    units = -(-end // unit) - begin // unit
    kept = frozenset(n for n in range(units) if rng.random() < 0.5)
    return Torn(number, unit, kept)


def replay(log: WriteLog, moment: Cut, disk: Path) -> None:
    """Do to `disk`, which is as it was when the log began, what had reached it by then."""
    with log.path.open("rb") as source, disk.open("r+b") as target:
        for number in range(moment.point):
            entry = log.entries[number]
            if number in moment.lost or not entry.changes_the_disk:
                continue
            size = entry.sectors * log.sector_size
            data = os.pread(source.fileno(), size, entry.data) if entry.has_data else bytes(size)
            at = entry.sector * log.sector_size
            if moment.torn is not None and moment.torn.number == number:
                _write_units(target.fileno(), at, data, moment.torn)
            else:
                os.pwrite(target.fileno(), data, at)


def _write_units(disk: int, at: int, data: bytes, torn: Torn) -> None:
    into = at % torn.unit  # how far into its first unit the write begins
    for unit in sorted(torn.kept):
        begin = max(unit * torn.unit - into, 0)
        end = (unit + 1) * torn.unit - into
        os.pwrite(disk, data[begin:end], at + begin)


def _ranges(numbers: frozenset[int]) -> str:
    """1,2,3,7 as 1-3,7."""
    found: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in found)
