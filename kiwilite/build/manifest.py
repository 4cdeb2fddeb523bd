"""What a result consists of, so that a damaged one is told from a sound one.

The process that made a result writes its manifest, and a process with the same view of
owners compares: results of the namespace are read there, where all of their files can be.

    entries/KEY/manifest    SHA-256 (hex) of what follows, a line feed, rows as JSON
    entries/KEY/about.json  "seal": what a look at the surface is compared with
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from kiwilite.build.normalise import FOREIGN_XATTRS
from kiwilite.build.summed import with_sum, without_sum
from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.squashfs.survey import ZEROS, ChangedFile, Digests, Extent, digests_of

FILE = "manifest"
OUT = "out"

Depth = Literal["files", "whole"]
"""`files`: what stands directly in the result, which anybody may read; `whole`: trees as well."""

BLOCK: Final = 1 << 17
"""Bytes that have a digest of their own: as many as images have in a block, so that what is
noted here need not be read once more to make one."""
_PAGE = 4096
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}


class Row(NamedTuple):
    """One file, folder or link of a result."""

    path: str
    """Below `out/`; "." is that folder itself."""
    kind: str
    mode: int
    owner: int
    group: int
    time: int
    """Of the last change of content, in nanoseconds since 1970: images have it."""
    size: int
    """Bytes; 0 of folders."""
    content: str
    """A link's target, or of a further hard link "= " and the path of the first. Of a file in
    a tree the digests of its blocks (see `digests_text`); of one that stands directly in the
    result, an image as large as a disk, say, the SHA-256 of these as text."""
    attributes: str
    """SHA-256 over names and values of extended attributes; empty where there are none."""


class BadManifest(KiwiliteError):
    """A manifest that cannot be read or is not as it was written."""


def digests_text(digests: Digests) -> str:
    """The digests of a file's blocks in hex, a run of N zero blocks as "0*N"."""
    if len(digests) == 1 and digests[0] != ZEROS:  # as most files have it
        return digests[0].hex()
    words = []
    for zeros, group in itertools.groupby(digests, lambda digest: digest == ZEROS):
        run = [digest.hex() for digest in group]
        words += [f"0*{len(run)}"] if zeros else run
    return " ".join(words)


def text_digests(text: str) -> Digests:
    """What `digests_text` wrote; ValueError for anything else."""
    digests: list[bytes] = []
    for word in text.split():
        zeros = word.startswith("0*")
        digests += [ZEROS] * int(word[2:]) if zeros else [bytes.fromhex(word)]
    return tuple(digests)


@dataclass(frozen=True, slots=True)
class Shared:
    """Files of another result that may be files of this one too, with what is noted of them."""

    out: str
    noted: tuple[Row, ...]
    """All rows as they stand in the manifest; none where that is not as it was written."""
    files: Mapping[str, Row]
    """Those of files of trees, by path. `content` is that of the file, whichever name it has."""

    @classmethod
    def of(cls, entry: Path) -> Shared:
        """What the manifest of an entry says."""
        noted: tuple[Row, ...] = ()
        with contextlib.suppress(BadManifest):
            noted = read(entry)
        files: dict[str, Row] = {}
        for row in noted:
            if row.kind == "file" and "/" in row.path:
                if not row.content.startswith("= "):
                    files[row.path] = row
                elif first := files.get(row.content.removeprefix("= ")):
                    files[row.path] = row._replace(content=first.content)
        return cls(str(entry / OUT), noted, files)

    def row(self, name: str, status: os.stat_result) -> Row | None:
        """The row of a file of this result, if it is the other's of the same name."""
        row = self.files.get(name)
        if row is None or (row.size, row.time) != (status.st_size, status.st_mtime_ns):
            return None
        try:
            theirs = os.lstat(f"{self.out}/{name}")
        except OSError:
            return None
        return row if os.path.samestat(theirs, status) else None


@dataclass(slots=True)
class _Taking:
    """What is known while rows are taken."""

    shared: Sequence[Shared] = ()
    first: dict[tuple[int, int], str] = field(default_factory=dict)
    """The first name of each file that may have several."""


def take(out: Path, depth: Depth = "whole", shared: Sequence[Shared] = ()) -> tuple[Row, ...]:
    """The rows of a result as it is now, folder by folder; OSError where it cannot be read.

    Files that `shared` has too are not read again.
    """
    taking = _Taking(shared)
    if depth == "files":
        return tuple(row for row in _rows(_entries(out), "", taking) if row.kind == "file")
    return tuple(_walk(out, taking))


def _walk(out: Path, taking: _Taking) -> Iterator[Row]:
    yield _row(str(out), ".", out.lstat(), taking)
    pending = [""]
    while pending:
        prefix = pending.pop()
        found = _entries(out / prefix)
        yield from _rows(found, prefix, taking)
        folders = [f"{prefix}{e.name}/" for e in found if e.is_dir(follow_symlinks=False)]
        pending += reversed(folders)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def _rows(entries: Sequence[os.DirEntry[str]], prefix: str, taking: _Taking) -> Iterator[Row]:
    for entry in entries:
        status = entry.stat(follow_symlinks=False)
        yield _row(entry.path, f"{prefix}{entry.name}", status, taking)


def _row(path: str, name: str, status: os.stat_result, taking: _Taking) -> Row:
    form = stat.S_IFMT(status.st_mode)
    content, size = "", 0
    if form == stat.S_IFREG:
        size, before = status.st_size, name
        if status.st_nlink > 1:
            before = taking.first.setdefault((status.st_dev, status.st_ino), name)
            for shared in taking.shared if before == name else ():
                if (row := shared.row(name, status)) is not None:
                    return row
        content = _content(path, name, size) if before == name else f"= {before}"
    elif form == stat.S_IFLNK:
        content = os.readlink(path)  # noqa: PTH115 (a Path would write it in another way)
    return Row(
        name,
        _KINDS.get(form, f"{form:o}"),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        size,
        content,
        _attributes(path),
    )


def _content(path: str, name: str, size: int) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        extent = Extent(os.fsencode(name), 0, size)
        text = digests_text(digests_of(fd, extent, BLOCK))
    finally:
        os.close(fd)
    return text if "/" in name else hashlib.sha256(text.encode()).hexdigest()


def _attributes(path: str) -> str:
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:  # a file system without them
        return ""
    kept = sorted(name for name in names if name not in FOREIGN_XATTRS)
    if not kept:
        return ""
    values = [(name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in kept]
    return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def content(path: Path) -> str:
    """What `content` of a row says of a file that stands directly in a result. Raises OSError."""
    return _content(str(path), path.name, path.stat().st_size)


def noted_content(path: Path) -> str:
    """What is noted of a file directly in a result. Raises BadManifest, KeyError."""
    rows = {row.path: row for row in read(path.parents[1])}
    return rows[path.name].content


def write(entry: Path, shared: Sequence[Shared] = ()) -> None:
    """Write the manifest of a result that was just made; to be called by who made it.

    What it has in common with others is noted as there: examine these before it counts.
    """
    body = json.dumps(take(entry / OUT, shared=shared)).encode()
    (entry / FILE).write_bytes(with_sum(body))


def read(entry: Path) -> tuple[Row, ...]:
    """The rows as they were noted. Raises BadManifest."""
    where = str(entry / FILE)
    try:
        body = without_sum((entry / FILE).read_bytes())
    except OSError as error:
        raise BadManifest(f"cannot be read: {error.strerror}", where=where) from error
    if body is None:
        raise BadManifest("is not as it was written", where=where)
    return tuple(Row(*row) for row in json.loads(body))


def identity(entry: Path) -> str:
    """What tells the content of a result: SHA-256 over its manifest. Raises OSError."""
    return hashlib.sha256((entry / FILE).read_bytes()).hexdigest()


def disk_usage(entry: Path, rows: Sequence[Row]) -> int:
    """Bytes an entry takes on the disk, as near as can be told without looking into trees."""
    inner = (row for row in rows if "/" in row.path and not row.content.startswith("= "))
    direct = [entry / FILE, *(entry / OUT).iterdir()]
    blocks = sum(path.lstat().st_blocks for path in direct) * 512
    return blocks + sum(-(-max(row.size, 1) // _PAGE) * _PAGE for row in inner)


def damage(entry: Path, depth: Depth) -> tuple[str, ...]:
    """What of an entry is not as it was made, as sentences with the path; empty: it is sound."""
    try:
        noted, found = read(entry), take(entry / OUT, depth)
        if depth == "files":
            direct = tuple(r for r in noted if "/" not in r.path and r.kind == "file")
            return differences(_anonymous(direct), _anonymous(found))
        return differences(noted, found)
    except BadManifest as error:
        return (f"{FILE}: {error.message}",)
    except ChangedFile as error:
        return (f"{OUT}/{error.where}: {error.message}",)
    except OSError as error:
        return (f"{_below(entry, error.filename)}: cannot be read: {error.strerror}",)


def _anonymous(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Without what looks different from outside the namespace, and matters in trees only."""
    return tuple(row._replace(owner=0, group=0, attributes="") for row in rows)


def _below(entry: Path, name: object) -> str:
    path = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else entry
    return str(path.relative_to(entry)) if path.is_relative_to(entry) else str(path)


def differences(noted: Sequence[Row], found: Sequence[Row]) -> tuple[str, ...]:
    """What became of the rows that were noted, sorted by path."""
    if noted == found:
        return ()
    before = {row.path: row for row in noted}
    after = {row.path: row for row in found}
    said = []
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            said.append(f"{OUT}/{path}: is gone")
        elif path not in before:
            said.append(f"{OUT}/{path}: was not there")
        elif before[path] != after[path]:
            words = ", ".join(_changes(before[path], after[path]))
            said.append(f"{OUT}/{path}: {words}")
    return tuple(said)


def _changes(before: Row, after: Row) -> Iterator[str]:
    if before.kind != after.kind:
        yield f"was a {before.kind}"
        return
    if before.size != after.size:
        yield f"has {after.size} bytes instead of {before.size}"
    elif before.content != after.content:
        yield "has another content"
    if before.mode != after.mode:
        yield f"has mode {after.mode:o} instead of {before.mode:o}"
    if (before.owner, before.group) != (after.owner, after.group):
        yield f"belongs to {after.owner}:{after.group} instead of {before.owner}:{before.group}"
    if before.attributes != after.attributes:
        yield "has other extended attributes"
    if before.time != after.time:
        yield "has another time of change"


def surface(entry: Path) -> dict[str, Any]:
    """Size, mode and time of what stands directly in the result, and the manifest's size.

    A look at this takes microseconds and needs no power over a tree's files; it notices
    what was cut off, replaced or edited. The sum over all of it is for `damage`.
    """
    direct = {f"{OUT}/{p.name}": _stamp(p.lstat()) for p in (entry / OUT).iterdir()}
    return {FILE: [(entry / FILE).stat().st_size], **direct}


def _stamp(status: os.stat_result) -> list[int]:
    size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
    return [size, status.st_mode, status.st_mtime_ns]


def intact(entry: Path, seal: Mapping[str, Any] | None) -> bool:
    """Whether the surface is what was noted when the entry was made."""
    try:
        return seal is not None and surface(entry) == seal
    except OSError:
        return False
