"""cpio archives in the "newc" format, as the Linux kernel unpacks an initramfs.

Every member is a header of 110 ASCII characters, the NUL-terminated name, padding to
4 bytes, the data, padding to 4 bytes; offsets count from the archive's start. After
the 6-character magic "070701" come thirteen fields of 8 hexadecimal digits:

      6 inode    14 mode     22 uid       30 gid        38 link count  46 mtime
     54 size     62 dev major 70 dev minor 78 rdev major 86 rdev minor
     94 name length with its NUL         102 checksum, zero

The member "TRAILER!!!" ends an archive. The kernel takes several archives in a row;
each must start at a multiple of 4 bytes, and NUL bytes between them are skipped.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError

_MAGIC: Final = b"070701"
_HEADER_SIZE: Final = 110
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{104}")
_TRAILER: Final = "TRAILER!!!"
_MAX_U32: Final = 0xFFFFFFFF
# The kernel refuses names above PATH_MAX, the terminating NUL counted.
_MAX_NAME: Final = 4096
_WITH_DATA: Final = (stat.S_IFREG, stat.S_IFLNK)
_TYPES: Final = (
    *_WITH_DATA,
    stat.S_IFDIR,
    stat.S_IFCHR,
    stat.S_IFBLK,
    stat.S_IFIFO,
    stat.S_IFSOCK,
)


class BadCpio(KiwiliteError):
    """An archive is not valid, or entries do not make a valid one.

    `offset` is the byte where the broken member starts; -1 when writing.
    """

    def __init__(self, message: str, offset: int = -1) -> None:
        super().__init__(
            f"cpio archive, byte {offset}: {message}" if offset >= 0 else f"cpio: {message}"
        )
        self.offset = offset


@dataclass(frozen=True, slots=True)
class Entry:
    """One member. `path` is relative, without "." or "..".

    `mode` has the file type bits; `data` is a file's content or a symbolic link's
    target. `mtime` (seconds) None takes the archive's, `nlink` None the usual 1 or 2.
    """

    path: str
    mode: int
    data: bytes = b""
    uid: int = 0
    gid: int = 0
    mtime: int | None = None
    nlink: int | None = None
    rdev_major: int = 0
    rdev_minor: int = 0


def regular(path: str, data: bytes, mode: int = 0o644) -> Entry:
    """A regular file with permission bits `mode`."""
    return Entry(path, stat.S_IFREG | mode, data)


def directory(path: str, mode: int = 0o755) -> Entry:
    """A directory with permission bits `mode`."""
    return Entry(path, stat.S_IFDIR | mode)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link to `target`."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode("utf-8", "surrogateescape"))


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """A character device node."""
    return Entry(path, stat.S_IFCHR | mode, rdev_major=major, rdev_minor=minor)


def write(entries: Iterable[Entry], *, mtime: int) -> bytes:
    """One archive, a multiple of 4 bytes long; the same entries give the same bytes.

    Members are sorted, parents before children, and get inode numbers 1, 2, ...;
    parents that are not given are added as root's, 0755. Raises BadCpio for a path
    that is given twice, leads out of the archive, or goes through a non-directory.
    """
    out = bytearray()
    for inode, entry in enumerate(_completed(entries), 1):
        _append(out, entry, inode, mtime)
    _append(out, Entry(_TRAILER, 0, nlink=1), 0, 0)
    return bytes(out)


def _completed(entries: Iterable[Entry]) -> Iterator[Entry]:
    by_path: dict[tuple[str, ...], Entry] = {}
    for entry in entries:
        _check(entry)
        parts = tuple(entry.path.split("/"))
        if by_path.setdefault(parts, entry) is not entry:
            raise BadCpio(f"{entry.path!r} is given twice")
    for parts in list(by_path):
        for depth in range(1, len(parts)):
            parent = parts[:depth]
            found = by_path.setdefault(parent, directory("/".join(parent)))
            if not stat.S_ISDIR(found.mode):
                raise BadCpio(f"{found.path!r} is no directory, but holds {'/'.join(parts)!r}")
    return (by_path[parts] for parts in sorted(by_path))


def _check(entry: Entry) -> None:
    def bad(why: str) -> BadCpio:
        return BadCpio(f"{entry.path!r} {why}")

    if any(part in ("", ".", "..") for part in entry.path.split("/")):
        raise bad("is no plain relative path")
    if "\0" in entry.path or len(_encoded(entry.path)) >= _MAX_NAME:
        raise bad("has NUL in it or is too long")
    if entry.path == _TRAILER:
        raise bad("is the mark of an archive's end")
    kind = stat.S_IFMT(entry.mode)
    if kind not in _TYPES:
        raise bad(f"has mode {entry.mode:#o}, which is no known file type")
    if entry.data and kind not in _WITH_DATA:
        raise bad("cannot have data")
    numbers = (entry.mode, entry.uid, entry.gid, entry.mtime or 0, entry.nlink or 0)
    if not all(
        0 <= n <= _MAX_U32 for n in (*numbers, len(entry.data), entry.rdev_major, entry.rdev_minor)
    ):
        raise bad("has a number that does not fit 32 bits")


def _encoded(path: str) -> bytes:
    try:
        return path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BadCpio(f"{path!r} cannot be written as UTF-8") from error


def _append(out: bytearray, entry: Entry, inode: int, mtime: int) -> None:
    name = _encoded(entry.path) + b"\0"
    default_nlink = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        inode,
        entry.mode,
        entry.uid,
        entry.gid,
        default_nlink if entry.nlink is None else entry.nlink,
        mtime if entry.mtime is None else entry.mtime,
        len(entry.data),
        0,
        0,
        entry.rdev_major,
        entry.rdev_minor,
        len(name),
        0,
    )
    out += _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    out += bytes(-len(out) % 4)
    out += entry.data
    out += bytes(-len(out) % 4)


def read(raw: bytes) -> tuple[Entry, ...]:
    """The members of all archives in `raw`, in order; raises BadCpio.

    Link counts and times are the archive's own. A compressed archive in the row is
    an error: take `read_one` and unpack the rest.
    """
    entries: list[Entry] = []
    at = _skip_padding(raw, 0)
    while at < len(raw):
        some, at = read_one(raw, at)
        entries += some
        at = _skip_padding(raw, at)
    return tuple(entries)


def read_one(raw: bytes, offset: int = 0) -> tuple[tuple[Entry, ...], int]:
    """The archive at byte `offset`, and the offset behind its trailer; raises BadCpio."""
    entries: list[Entry] = []
    at = offset
    while True:
        entry, at = _read_member(raw, at, offset)
        if entry.path == _TRAILER:
            return tuple(entries), at
        entries.append(entry)


def _skip_padding(raw: bytes, at: int) -> int:
    while at < len(raw) and raw[at] == 0:
        at += 1
    if at < len(raw) and at % 4:
        raise BadCpio("does not start at a multiple of 4 bytes", at)
    return at


def _read_member(raw: bytes, at: int, start: int) -> tuple[Entry, int]:
    """The member at `at` and where the next one starts; padding counts from `start`."""

    def padded(end: int) -> int:
        return end + (start - end) % 4

    if raw[at : at + 6] != _MAGIC:
        raise BadCpio("is no 'newc' header", at)
    digits = raw[at + 6 : at + _HEADER_SIZE]
    if not _HEX.fullmatch(digits):
        raise BadCpio("has a header that is cut off or not hexadecimal", at)
    _, mode, uid, gid, nlink, mtime, size, _, _, major, minor, name_size, _ = (
        int(digits[n : n + 8], 16) for n in range(0, len(digits), 8)
    )
    name_end = at + _HEADER_SIZE + name_size
    data_at = padded(name_end)
    data_end = data_at + size
    if not 0 < name_size <= _MAX_NAME or data_end > len(raw):
        raise BadCpio("has a name or data that go beyond the archive's end", at)
    name = raw[at + _HEADER_SIZE : name_end]
    if name.find(0) != name_size - 1:
        raise BadCpio("has a name that does not end with its NUL", at)
    entry = Entry(
        path=name[:-1].decode("utf-8", "surrogateescape"),
        mode=mode,
        data=bytes(raw[data_at:data_end]),
        uid=uid,
        gid=gid,
        mtime=mtime,
        nlink=nlink,
        rdev_major=major,
        rdev_minor=minor,
    )
    return entry, padded(data_end)
