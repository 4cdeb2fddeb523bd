"""The encrypted part of a LUKS2 volume with integrity: written, checked and read in a file.

Offsets are bytes: of the mapped device (what a file system sees) or of the partition (the
LUKS2 header included). Work goes area by area (16 MiB of the mapped device), in pieces of
at most 1 MiB, so that memory does not grow with the volume; areas do not depend on each
other and may be worked on side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from kiwilite.ondisk.integrity import SECTOR, Geometry
from kiwilite.ondisk.sectors import GOOD, UNWRITTEN, Buffer, Randomness, SectorCipher

PIECE: Final = 1 << 20
ZERO_PIECE: Final = 1 << 16
"""Plain text is written in pieces of this many bytes, and a piece of zeros is left out."""

ReadAt = Callable[[int, int], bytes]
"""Bytes at an offset: (offset, length)."""
WriteAt = Callable[[int, Buffer], object]
"""Writes bytes at an offset: (offset, data)."""


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """`length` bytes from byte `start` on."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """First byte behind it."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Found:
    """An extent of the mapped device whose sectors are all in one state (see `sectors`)."""

    state: int
    extent: Extent


@dataclass(frozen=True, slots=True)
class Payload:
    """How a volume's sectors are placed and encrypted."""

    geometry: Geometry
    cipher: SectorCipher

    @property
    def areas(self) -> range:
        """Numbers of the areas that hold sectors of the mapped device."""
        return range(-(-self.geometry.provided // self.geometry.area_sectors))

    def area(self, number: int) -> Extent:
        """The part of the mapped device that area `number` holds; the last may be shorter."""
        whole = self.geometry.area_sectors * SECTOR
        start = number * whole
        return Extent(start, min(whole, self.geometry.provided_bytes - start))


def united(extents: Iterable[Extent], unit: int, end: int) -> tuple[Extent, ...]:
    """The extents as a whole: grown to multiples of `unit`, cut at `end`, ordered, without overlap.

    `end` is a multiple of `unit`.
    """
    rows: list[Extent] = []
    for each in sorted(extents):
        start = each.start // unit * unit
        stop = min(-(-each.end // unit) * unit, end)
        if each.length == 0 or stop <= start:
            continue
        if rows and start <= rows[-1].end:
            start, stop = rows[-1].start, max(stop, rows.pop().end)
        rows.append(Extent(start, stop - start))
    return tuple(rows)


def by_area(payload: Payload, extents: Iterable[Extent]) -> Iterator[tuple[Extent, ...]]:
    """The extents, cut at the borders of areas: what to write, one row for each area with some."""
    size = payload.geometry.area_sectors * SECTOR
    cut = (piece for extent in extents for piece in _pieces(extent, size))
    for _, group in groupby(cut, key=lambda piece: piece.start // size):
        yield tuple(group)


def _pieces(extent: Extent, size: int) -> Iterator[Extent]:
    start = extent.start
    while start < extent.end:
        stop = min((start // size + 1) * size, extent.end)
        yield Extent(start, stop - start)
        start = stop


def _small_pieces(payload: Payload, extent: Extent) -> Iterator[Extent]:
    return _pieces(extent, min(PIECE, payload.geometry.area_sectors * SECTOR))


def encrypt(
    payload: Payload,
    extents: Iterable[Extent],
    read: ReadAt,
    write: WriteAt,
    randomness: Randomness,
) -> None:
    """Encrypt extents of the mapped device from `read` (plain text) into `write` (partition)."""
    for extent in extents:
        for piece in _small_pieces(payload, extent):
            sector = piece.start // SECTOR
            data, tags = payload.cipher.seal(sector, read(piece.start, piece.length), randomness)
            write(payload.geometry.data_sector(sector) * SECTOR, data)
            write(payload.geometry.tag_byte(sector), tags)


def _tag_bytes(payload: Payload, piece: Extent) -> int:
    return piece.length // payload.cipher.encryption.sector_size * payload.geometry.tag_bytes


def _stored(payload: Payload, piece: Extent, read: ReadAt) -> tuple[bytes, bytes]:
    """Ciphertext and tags of a piece."""
    sector = piece.start // SECTOR
    data = read(payload.geometry.data_sector(sector) * SECTOR, piece.length)
    return data, read(payload.geometry.tag_byte(sector), _tag_bytes(payload, piece))


def _empty(*parts: bytes) -> bool:
    return all(part == bytes(len(part)) for part in parts)


def check_area(payload: Payload, number: int, read: ReadAt) -> tuple[Found, ...]:
    """Everything in area `number` that is not good: bad and unwritten extents, in order.

    `read` gives bytes of the partition, as many as asked for. At most a few MiB are held
    at a time.
    """

    def states() -> Iterator[Found]:
        for piece in _small_pieces(payload, payload.area(number)):
            data, tags = _stored(payload, piece, read)
            if _empty(data, tags):
                yield Found(UNWRITTEN, piece)
                continue
            checked = payload.cipher.check(piece.start // SECTOR, data, tags)
            yield from _runs(payload, piece, checked)

    return tuple(_joined(states()))


def decrypt_area(payload: Payload, number: int, read: ReadAt, write: WriteAt) -> tuple[Found, ...]:
    """Decrypt area `number` into `write` (offsets of the mapped device), and say what is not good.

    Zeros are not written, nor is what is not good: into a sparse file both become holes.
    """

    def states() -> Iterator[Found]:
        for piece in _small_pieces(payload, payload.area(number)):
            data, tags = _stored(payload, piece, read)
            if _empty(data, tags):
                yield Found(UNWRITTEN, piece)
                continue
            plain, checked = payload.cipher.open(piece.start // SECTOR, data, tags)
            _write_sparse(piece.start, bytes(plain), write)
            yield from _runs(payload, piece, checked)

    return tuple(_joined(states()))


def _write_sparse(start: int, plain: bytes, write: WriteAt) -> None:
    for at in range(0, len(plain), ZERO_PIECE):
        part = plain[at : at + ZERO_PIECE]
        if not _empty(part):
            write(start + at, part)


def _runs(payload: Payload, piece: Extent, states: bytearray) -> Iterator[Found]:
    size, start = payload.cipher.encryption.sector_size, piece.start
    for state, group in groupby(states):
        length = sum(1 for _ in group) * size
        if state != GOOD:
            yield Found(state, Extent(start, length))
        start += length


def _joined(rows: Iterable[Found]) -> Iterator[Found]:
    """Neighbours in the same state as one."""
    last: Found | None = None
    for row in rows:
        if last and last.state == row.state and last.extent.end == row.extent.start:
            last = Found(
                row.state, Extent(last.extent.start, last.extent.length + row.extent.length)
            )
            continue
        if last:
            yield last
        last = row
    if last:
        yield last
