"""Which file `--description` means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kiwilite.description import suggest
from kiwilite.description.schema import data_directories
from kiwilite.errors import UsageError

NAMES = ("appliance.kiwi", "config.xml")
"""File names that are looked for first in a directory."""


def find(argument: str | None) -> Path:
    """The description file that `argument` means: a directory, a file, or a name.

    A name is looked up below ./descriptions, the directories of
    $KIWILITE_DESCRIPTIONS, and kiwilite's own; None stands for the current directory.
    Raises UsageError, naming what was tried.
    """
    if argument is None:
        return description_file(Path())
    if not argument or "\0" in argument:
        raise UsageError("the description has no name", hint="give a directory, file or name")
    direct = Path(argument)
    if direct.is_file():
        return direct
    if direct.is_dir() and next(_candidates(direct), None) is not None:
        return description_file(direct)
    named = [place / argument for place in _places()] if not direct.is_absolute() else []
    for directory in named:
        if directory.is_dir():
            return description_file(directory)
    if direct.is_dir():
        return description_file(direct)
    tried = ", ".join(str(path) for path in (direct, *named))
    raise UsageError(
        f"there is no description `{argument}`; tried {tried}",
        hint=suggest.hint(argument, _known()) or "give a directory, a *.kiwi file, or a name",
    )


def description_file(directory: Path) -> Path:
    """The description in `directory`; UsageError if there is none, or several."""
    found = list(_candidates(directory))
    if not found:
        tried = ", ".join(str(directory / name) for name in (*NAMES, "*.kiwi"))
        raise UsageError(
            f"{directory.absolute()} holds no description; tried {tried}",
            hint="name the file itself, if it is called otherwise",
        )
    if len(found) > 1 and found[0].name not in NAMES:
        names = ", ".join(path.name for path in found)
        raise UsageError(
            f"{directory.absolute()} holds several descriptions: {names}", hint="name one of them"
        )
    return found[0]


def _candidates(directory: Path) -> Iterator[Path]:
    """Files that may be the description, best first."""
    preferred = [directory / name for name in NAMES]
    others = sorted(path for path in directory.glob("*.kiwi") if path not in preferred)
    return (path for path in (*preferred, *others) if path.is_file())


def _places() -> Iterator[Path]:
    """Directories whose subdirectories are descriptions with a name."""
    yield Path("descriptions")
    for entry in os.environ.get("KIWILITE_DESCRIPTIONS", "").split(":"):
        if entry:
            yield Path(entry)
    yield from data_directories("descriptions")


def _known() -> list[str]:
    """Names of all descriptions that could have been meant."""
    places = [place for place in _places() if place.is_dir()]
    directories = (child for place in places for child in place.iterdir() if child.is_dir())
    return sorted({d.name for d in directories if next(_candidates(d), None)})
