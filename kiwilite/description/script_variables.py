"""Which of KIWI's variables the scripts of a description look at.

A script gets those that it names, or that a file of the description names which the
script may call: then a change of any other one need not run it again. All of them go to a
script that reads its environment as a whole, puts names together, or comes with archives,
which nobody looks into here.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

Variables = tuple[tuple[str, str], ...]
"""(name, value), sorted."""

_NAME: Final = re.compile(rb"kiwi_\w*")

_ALL: Final = re.compile(
    rb"(?<!/)\b(?:env|printenv|compgen)\b|\b(?:export|declare|typeset)\s+-\w*[px]"
    rb"|^[ \t]*set[ \t]*(?:$|[|;>])|\$\{!|\beval\b|/proc/[^\s/]+/environ|\bos\.environ\b|%ENV\b",
    re.MULTILINE,
)
"""How a script reads its environment as a whole, or a variable whose name it puts together."""

_PROFILE: Final = re.compile(rb"\.profile\b")
_SOURCED: Final = re.compile(rb"(?:^|[\s;&|])(?:\.|source|-[efrs])\s+[\"']?/?\.profile\b")
"""The usual start of a script; whoever mentions the file otherwise may read all of it."""


OF_HELPERS: Final = {
    b"baseGetProfilesUsed": "kiwi_profiles",
    b"baseGetPackagesForDeletion": "kiwi_delete",
}
"""What functions of `.kconfig` look at."""


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may look at variables: scripts, what these may call, and whether there are archives."""

    scripts: tuple[Path, ...]
    called: tuple[Path, ...]
    archives: bool


def looked_at(variables: Variables, readers: Readers) -> Variables:
    """Those of `variables` that scripts are given; none where there is no script."""
    if not readers.scripts:
        return ()
    if readers.archives or any(_reads_all(path) for path in readers.scripts):
        return variables
    names: set[str] = set()
    for path in _files((*readers.scripts, *readers.called)):
        names |= set(_names(path))
    if names - {name for name, _ in variables}:
        return variables  # a part of a name, perhaps
    return tuple(row for row in variables if row[0] in names)


def _reads_all(path: Path) -> bool:
    text = _content(path)
    return bool(_ALL.search(text)) or len(_PROFILE.findall(text)) != len(_SOURCED.findall(text))


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
        elif path.is_file():
            yield path


def _names(path: Path) -> Iterator[str]:
    content = _content(path)
    yield from (match[0].decode() for match in _NAME.finditer(content))
    yield from (name for helper, name in OF_HELPERS.items() if content.find(helper) >= 0)


def _content(path: Path) -> bytes | mmap.mmap:
    """The bytes; none where the file cannot be read, which the build will say."""
    try:
        with path.open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return b""
