"""The description that `kiwilite description init` begins with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TEMPLATE: Final = Path(__file__).with_name("skeleton_files")
"""A description that is valid as it stands; only its name is changed."""

LONGEST_NAME: Final = 128
"""The names of results begin with it, and a file system takes 255 bytes."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_NAMED = 'name="appliance"'


@dataclass(frozen=True, slots=True)
class SkeletonFile:
    """A file of a new description; `path` is relative to its folder."""

    path: Path
    text: str
    executable: bool


def fault_of_name(name: str) -> str | None:
    """Why `name` cannot be the name of an image, in a sentence; None where it can."""
    if not name:
        return "an image needs a name"
    if len(name) > LONGEST_NAME:
        return f"the name of an image has at most {LONGEST_NAME} characters, not {len(name)}"
    if _NAME.fullmatch(name):
        return None
    wrong = next((letter for letter in name if not _NAME.fullmatch("a" + letter)), None)
    if wrong is None:
        return f"`{name}` cannot be the name of an image: it begins with `{name[0]}`"
    shown = repr(wrong)[1:-1]
    return f"`{repr(name)[1:-1]}` cannot be the name of an image: `{shown}` is not allowed in it"


def skeleton(name: str) -> tuple[SkeletonFile, ...]:
    """The files of a new description of the image `name`, which `fault_of_name` has passed."""
    paths = sorted(path for path in TEMPLATE.rglob("*") if path.is_file())
    return tuple(
        SkeletonFile(
            path.relative_to(TEMPLATE),
            path.read_text(encoding="utf-8").replace(_NAMED, f'name="{name}"', 1),
            path.suffix == ".sh",
        )
        for path in paths
    )
