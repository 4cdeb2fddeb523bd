"""Which files of two squashfs differ, and in what.

`unsquashfs -pf` writes a squashfs as text, one line for each file, and after a mark the
content of all regular files, one behind the other:

    NAME D|B|C|F|S TIME MODE UID GID [TARGET | MAJOR MINOR]     other than regular files
    NAME R TIME MODE UID GID SIZE OFFSET                        offset behind the mark
    NAME L OTHER                                                a hard link
    NAME x ATTRIBUTE=VALUE                                      since squashfs-tools 4.6

So each is read once, in bounded memory, and of contents only digests are kept.
Source: "pseudo file definitions" of the manual page of mksquashfs.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Final, NamedTuple

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
from kiwilite.ondisk.squashfs import superblock
from kiwilite.ondisk.squashfs.superblock import BadSquashfs, SquashfsSuperblock

_MARK: Final = b"# START OF DATA"
_WORDS: Final = re.compile(r"((?:[^\\ ]|\\.)+)")
_KINDS: Final = {
    "D": "folder", "R": "file", "S": "symbolic link", "B": "block device",
    "C": "character device", "F": "pipe", "L": "hard link",
}  # fmt: skip
_MOST_CONTENTS: Final = 200
"""Files whose contents are compared byte by byte."""


class _Listed(NamedTuple):
    """A squashfs: attributes of each file by path, content of regular ones as digests."""

    attributes: dict[str, dict[str, str]]
    digests: dict[str, bytes]


def explain(pair: Pair, used: tuple[int, int]) -> Iterator[Difference]:
    """Files, attributes, superblock; `used` are the bytes that each squashfs takes.

    Raises HostError where unsquashfs is not installed.
    """
    with scratch_folder() as scratch:
        one, other = (
            _Copy(side, size, scratch / name)
            for side, size, name in zip(pair[1:3], used, ("one", "other"), strict=True)
        )
        first, second = one.listed(), other.listed()
        found = False
        for path, what in by_attributes(first.attributes, second.attributes):
            found = True
            yield Difference(pair.part, path, what)
        changed = [
            path
            for path, digest in first.digests.items()
            if second.digests.get(path, digest) != digest
        ]
        for number, path in enumerate(changed):
            found = True
            yield _content(pair, path, one, other, number < _MOST_CONTENTS)
    yield from _superblock(pair, found)


def _superblock(pair: Pair, found: bool) -> Iterator[Difference]:
    """What is left where every file is the same."""
    first = pair.scan.runs[0][0]
    if first < superblock.SIZE and _time(pair.one) != _time(pair.other):
        what = f"time of making {_time(pair.one)} and {_time(pair.other)}"
        yield pair.difference(what, 8, "superblock")
    elif not found:
        what = "the files are the same, but not their extended attributes, order or compression"
        yield pair.difference(what, first)


def _time(side: Side) -> int:
    return SquashfsSuperblock.unpack(side.read(0, superblock.SIZE)).made_at


class _Copy(NamedTuple):
    """A squashfs, as a file of its own where its image is none that unsquashfs could read."""

    side: Side
    size: int
    target: Path

    def _place(self) -> tuple[str, Path]:
        pieces = self.side.disk.pieces
        if len(pieces) == 1:
            return str(self.side.start), pieces[0].path
        if not self.target.exists():
            self.side.disk.extract(self.side.start, self.size, self.target)
        return "0", self.target

    def listed(self) -> _Listed:
        """All of it, read once."""
        offset, path = self._place()
        command = ("unsquashfs", "-quiet", "-no-progress", "-da", "16", "-fr", "16")
        with streamed(*command, "-o", offset, "-pf", "/dev/stdout", path) as stream:
            try:
                attributes, regular = _definitions(stream)
            except (ValueError, IndexError, KeyError) as problem:
                raise BadSquashfs(f"unsquashfs lists it in a way not known: {problem}") from problem
            if not attributes:
                raise BadSquashfs("unsquashfs cannot read it")
            return _Listed(attributes, dict(_contents(stream, regular)))

    def differing(self, path: str, other: _Copy) -> tuple[int, bytes, bytes] | None:
        """Where a file of both parts, and the bytes of both from there on."""
        with self._cat(path) as one, other._cat(path) as two:
            at = 0
            while True:
                a, b = one.read(CHUNK), two.read(CHUNK)
                if a != b:
                    step = first_difference(a, b) or 0
                    return at + step, a[step : step + SHOWN], b[step : step + SHOWN]
                if not a:
                    return None
                at += len(a)

    def _cat(self, path: str) -> AbstractContextManager[IO[bytes]]:
        offset, image = self._place()
        return streamed("unsquashfs", "-o", offset, "-cat", image, path.lstrip("/"))


def _definitions(stream: IO[bytes]) -> tuple[dict[str, dict[str, str]], list[tuple[str, int]]]:
    """Attributes by path, and the regular files with their sizes in the order of their data."""
    attributes: dict[str, dict[str, str]] = {}
    regular: list[tuple[int, str, int]] = []
    links: list[tuple[str, str]] = []
    for raw in stream:
        if raw.startswith(_MARK):
            break
        words = _WORDS.findall(raw.decode("utf-8", "surrogateescape").rstrip("\n"))
        if len(words) < 3 or raw.startswith(b"#"):
            continue
        path, kind, *rest = words
        name = "/" + re.sub(r"\\(.)", r"\1", path).lstrip("/")
        if kind == "L":
            links.append((name, "/" + re.sub(r"\\(.)", r"\1", rest[0]).lstrip("/")))
        elif kind == "x":
            key, _, value = rest[0].partition("=")
            attributes[name][key] = value
        else:
            attributes[name] = _attributes(kind, rest)
            if kind == "R":
                regular.append((int(rest[5]), name, int(rest[4])))
    for name, target in links:
        attributes[name] = {"kind": _KINDS["L"], "target": target}
    stream.readline()  # the line of the mark that is a bare "#"
    return attributes, [(name, size) for _, name, size in sorted(regular)]


def _attributes(kind: str, words: list[str]) -> dict[str, str]:
    time, mode, uid, gid, *rest = words
    found = {"kind": _KINDS.get(kind, kind), "mode": mode, "owner": f"{uid}:{gid}", "time": time}
    if kind == "R":
        found["size"] = rest[0]
    elif rest:
        found["target" if kind == "S" else "device"] = " ".join(rest)
    return found


def _contents(stream: IO[bytes], regular: list[tuple[str, int]]) -> Iterator[tuple[str, bytes]]:
    for name, size in regular:
        digest, left = hashlib.sha256(), size
        while left and (part := stream.read(min(left, CHUNK))):
            digest.update(part)
            left -= len(part)
        if left:
            raise BadSquashfs(f"unsquashfs cannot read {name}")
        yield name, digest.digest()


def _content(pair: Pair, path: str, one: _Copy, other: _Copy, look: bool) -> Difference:
    at = pair.one.start + pair.scan.runs[0][0]
    parted = one.differing(path, other) if look else None
    if parted is None:
        return Difference(pair.part, path, "content", at)
    return Difference(pair.part, path, "content", at, *parted)
