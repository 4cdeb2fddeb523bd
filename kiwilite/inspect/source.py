"""Images as rows of bytes: raw files, split files, block devices, and qcow2 by way of qemu-img."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from kiwilite.errors import HostError, KiwiliteError
from kiwilite.ondisk.sparse import any_set, data_ranges

CHUNK = 1 << 20
_QCOW2 = b"QFI\xfb"
_PIECE = re.compile(r"(?P<stem>.+)\.(?P<count>0+|a+)")


class BadImage(KiwiliteError):
    """The file cannot be opened as an image of a disk."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file, and where its first byte stands in the disk."""

    path: Path
    start: int
    size: int


@dataclass(slots=True)
class Disk:
    """The bytes of an image, read at any offset, by several processes at a time too."""

    pieces: tuple[Piece, ...]
    size: int
    form: str
    """raw, qcow2, split or block device."""
    _open: dict[Path, int] = field(default_factory=dict)
    _ranges: dict[Path, list[tuple[int, int]]] = field(default_factory=dict)

    def close(self) -> None:
        """Close the files; reading opens them again."""
        self._ranges.clear()
        while self._open:
            os.close(self._open.popitem()[1])

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`, fewer where the disk ends."""
        parts = []
        for piece in self.pieces:
            start, end = max(offset, piece.start), min(offset + length, piece.start + piece.size)
            while start < end:
                part = os.pread(self._file(piece), end - start, start - piece.start)
                if not part:
                    raise BadImage("the file became shorter", where=str(piece.path))
                parts.append(part)
                start += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def data(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Ranges (start, end) that are not holes; what lies between them reads as zeros."""
        for piece in self.pieces:
            ranges = self._data_of(piece)
            at = bisect_right(ranges, start - piece.start, key=lambda row: row[1])
            for a, b in islice(ranges, at, None):
                low, high = max(start, a + piece.start), min(end, b + piece.start)
                if low >= high:
                    break
                yield low, high

    def _data_of(self, piece: Piece) -> list[tuple[int, int]]:
        """All that is no hole in a piece. Asked for once: each answer may take the kernel a
        walk through the file's pages.
        """
        if piece.path not in self._ranges:
            self._ranges[piece.path] = list(data_ranges(self._file(piece), 0, piece.size))
        return self._ranges[piece.path]

    def chunks(self, start: int, end: int, size: int = CHUNK) -> Iterator[tuple[int, bytes]]:
        """Offset and content of what is not a hole, in parts that start at multiples of `size`
        (counted from `start`), so that two parts never share one.
        """
        done = start
        for low, high in self.data(start, end):
            at = max(done, start + (low - start) // size * size)
            while at < high:
                yield at, self.read(at, min(size, end - at))
                at += size
            done = at

    def window(self, start: int, length: int) -> io.BufferedReader:
        """A part of the disk as a file of its own."""
        return io.BufferedReader(_Window(self, start, length), buffer_size=CHUNK)

    def extract(self, start: int, length: int, target: Path) -> Path:
        """Copy a part into a file; zeros become holes."""
        with target.open("wb") as out:
            for at, chunk in self.chunks(start, start + length, 1 << 16):
                if any_set(chunk):
                    out.seek(at - start)
                    out.write(chunk)
            out.truncate(length)
        return target

    def _file(self, piece: Piece) -> int:
        if piece.path not in self._open:
            self._open[piece.path] = os.open(piece.path, os.O_RDONLY | os.O_CLOEXEC)
        return self._open[piece.path]


class _Window(io.RawIOBase):
    def __init__(self, disk: Disk, start: int, length: int) -> None:
        self._disk, self._start, self._length, self._at = disk, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, "a seek to before the start")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = max(0, min(len(view), self._length - self._at))
        got = self._disk.read(self._start + self._at, count)
        view[: len(got)] = got
        self._at += len(got)
        return len(got)


@contextmanager
def opened(path: Path) -> Iterator[Disk]:
    """The image at `path`. Raises BadImage, or HostError where qcow2 needs a missing tool.

    Of split files name the first: it ends in `.0`, `.00`, `.aa` and so on.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
            size = stream.seek(0, os.SEEK_END)
    except OSError as error:
        raise BadImage(os.strerror(error.errno or 0), where=str(path)) from error
    if head == _QCOW2:
        with _converted(path) as raw:
            size = raw.stat().st_size
            yield from _closing(Disk((Piece(raw, 0, size),), size, "qcow2"))
        return
    if path.is_block_device():
        yield from _closing(Disk((Piece(path, 0, size),), size, "block device"))
        return
    pieces = _split(path)
    total = sum(p.size for p in pieces)
    yield from _closing(Disk(pieces, total, "raw" if len(pieces) == 1 else "split"))


def _closing(disk: Disk) -> Iterator[Disk]:
    try:
        yield disk
    finally:
        disk.close()


@contextmanager
def _converted(path: Path) -> Iterator[Path]:
    """The disk in a qcow2 file, as a sparse file that goes when it is no longer needed."""
    with scratch_folder() as folder:
        raw = folder / "disk.raw"
        convert(path, "qcow2", raw, "raw")
        yield raw


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for copies, where there is more room than in memory."""
    with tempfile.TemporaryDirectory(
        prefix="kiwilite-", dir=os.environ.get("TMPDIR") or "/var/tmp"
    ) as name:
        yield Path(name)


def convert(source: Path, form: str, target: Path, target_form: str) -> None:
    """Have qemu-img write `source` in another format. Raises HostError or BadImage."""
    tool = shutil.which("qemu-img")
    if tool is None:
        raise HostError("qemu-img is not installed", hint="apt-get install qemu-utils")
    done = subprocess.run(
        [tool, "convert", "-f", form, "-O", target_form, str(source), str(target)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BadImage(done.stderr.strip() or "qemu-img cannot read it", where=str(source))


def _split(first: Path) -> tuple[Piece, ...]:
    """A file, and those that follow it by name: .00 .01 ..., or .aa .ab ... as split(1) has it."""
    found = _PIECE.fullmatch(first.name)
    names = [first.name]
    if found:
        digits = "0123456789" if found["count"].startswith("0") else "abcdefghijklmnopqrstuvwxyz"
        names = list(_following(first.parent, found["stem"], found["count"], digits))
    pieces: list[Piece] = []
    start = 0
    for name in names:
        path = first.parent / name
        size = path.stat().st_size
        pieces.append(Piece(path, start, size))
        start += size
    return tuple(pieces)


def _following(folder: Path, stem: str, count: str, digits: str) -> Iterator[str]:
    number, width = 0, len(count)
    while number < len(digits) ** width:
        value, text = number, ""
        for _ in range(width):
            value, digit = divmod(value, len(digits))
            text = digits[digit] + text
        if not (folder / f"{stem}.{text}").is_file():
            return
        yield f"{stem}.{text}"
        number += 1
