"""Files beside a description: what counts of them, and the copy that a step is given.

Names, kinds, permission bits, contents and the targets of links count. Owners, time
stamps, extended attributes and ACLs do not: nothing a step makes has them from there.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.digest import digest_file
from kiwilite.build.modes import meant_mode
from kiwilite.errors import KiwiliteError
from kiwilite.plan.references import Source


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link; `name` is relative to the source, "." for the source itself.

    `mode` has the permission bits; `what` is `file SHA-256`, `folder` or `link TARGET`.
    """

    name: str
    mode: int
    what: str


def entries_of(path: Path) -> tuple[Entry, ...]:
    """All of a file or a folder, in order. `path` itself may be a link: what it leads to counts.

    Raises KiwiliteError for what is neither file nor folder nor link, OSError.
    """
    names = [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]
    return tuple(_entry(name, path) for name in names)


def _entry(entry: Path, source: Path) -> Entry:
    status = entry.stat() if entry == source else entry.lstat()
    if stat.S_ISLNK(status.st_mode):
        what = f"link {entry.readlink()}"
    elif stat.S_ISDIR(status.st_mode):
        what = "folder"
    elif stat.S_ISREG(status.st_mode):
        what = f"file {digest_file(entry)}"
    else:
        raise KiwiliteError(
            "only files, folders and symbolic links can be part of a description",
            where=str(entry),
        )
    return Entry(str(entry.relative_to(source)), meant_mode(status.st_mode), what)


def digest(entries: Iterable[Entry]) -> str:
    """SHA-256 over entries."""
    total = hashlib.sha256()
    for entry in entries:
        line = f"{entry.name}\0{entry.mode:o}\0{entry.what}\n"
        total.update(line.encode(errors="surrogateescape"))
    return total.hexdigest()


def read(source: Source) -> tuple[Entry, ...]:
    """The entries of a file or folder that a step reads. KiwiliteError where it cannot be read."""
    if not source.path.exists():
        raise KiwiliteError("this file is not there", where=str(source.path))
    try:
        return entries_of(source.path)
    except OSError as error:
        where = str(error.filename or source.path)
        raise KiwiliteError(f"cannot be read: {error.strerror}", where=where) from error


def take(
    sources: Sequence[Source], folder: Path, known: Mapping[Source, tuple[Entry, ...]]
) -> dict[str, Path]:
    """Copy `sources` into `folder`; returns path of the source → path of its copy.

    `known` is what their step's key was made from. Raises KiwiliteError where something
    else was copied: its result must not get that key.
    """
    copies = {}
    for number, source in enumerate(sources):
        copy = folder / f"{number}" / source.path.name
        copy.parent.mkdir(parents=True)
        if source.path.is_dir():
            shutil.copytree(source.path, copy, symlinks=True)
        else:
            shutil.copy2(source.path, copy)
        if source in known and entries_of(copy) != known[source]:
            raise KiwiliteError(
                "this changed while the build ran", where=str(source.path), hint="build again"
            )
        copies[str(source.path)] = copy
    return copies
