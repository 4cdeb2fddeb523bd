"""What holds as a table for people: name, value and place, indented as the elements are."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiwilite.description.model import Span
from kiwilite.description.show.elements import Condition, Element, Origin, Shown, Value

LEAST_WIDTH: Final = 80
SECRET: Final = "(a secret, not shown)"

_KEYS: Final = ("name", "alias", "image", "type", "partition", "path")
"""The attribute an element is known by, which stands beside its name: the first it has."""

_LEAST_VALUE: Final = 22
_LEAST_PLACE: Final = 16
_DIM, _PLAIN = "\x1b[2m", "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Row:
    """One line, before it is wrapped; `depth` counts elements around it."""

    depth: int
    name: str
    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Paper:
    """What the table is written on; `dim` says whether it has a darker colour for places."""

    width: int = LEAST_WIDTH
    dim: bool = False


def lines(what: Shown, paper: Paper) -> Iterator[str]:
    """The table of `what`."""
    yield f"{what.file}, schemaversion {what.schemaversion}"
    profiles = ", ".join(what.profiles) or "none"
    yield f"for {what.arch}, type {what.type}, profiles: {profiles}"
    folder = what.file.parent
    for block in _blocks(what.image):
        yield ""
        yield from _table(block, folder, paper)
    beside = [("overlay tree", name) for name in what.overlay_trees]
    beside += [("script", name) for name in what.scripts]
    if beside:
        yield from ("", "beside the description")
        yield from (f"  {kind:<14}{name}" for kind, name in beside)


def _blocks(image: Element) -> Iterator[list[Row]]:
    """The rows of `image` itself, then those of each section."""
    yield list(_rows(Element(image.name, image.origin, image.attributes), 0))
    for section in image.children:
        yield list(_rows(section, 0))


def _rows(element: Element, depth: int) -> Iterator[Row]:
    attributes = list(element.attributes)
    value = element.text
    if value is None:
        key = next((a for name in _KEYS for a in attributes if a.name == name), None)
        if key is not None:
            attributes.remove(key)
            value = _value(key)
    words = [w for w in (value, _condition(element.condition)) if w]
    yield Row(depth, element.name, _printable(" ".join(words)), element.origin)
    for attribute in attributes:
        yield Row(depth + 1, attribute.name, _printable(_value(attribute)), attribute.origin)
    for child in element.children:
        yield from _rows(child, depth + 1)


def _value(value: Value) -> str:
    return SECRET if value.text is None else value.text or '""'


def _printable(text: str) -> str:
    """`text` without what a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _condition(condition: Condition) -> str:
    words = [f"profiles={','.join(condition.profiles)}"] if condition.profiles else []
    words += [f"arch={condition.arch}"] if condition.arch else []
    return f"({' '.join(words)})" if words else ""


def place(origin: Origin, folder: Path) -> str:
    """Where a value is from, files as seen from `folder`."""
    if not isinstance(origin, Span):
        return origin
    return f"{os.path.relpath(origin.file, folder)}:{origin.line}:{origin.column}"


def _table(rows: list[Row], folder: Path, paper: Paper) -> Iterator[str]:
    names = ["  " * row.depth + row.name for row in rows]
    name_width = max(map(len, names)) + 2
    room = max(paper.width - name_width - _LEAST_VALUE - 2, _LEAST_PLACE)
    places = [_shortened(place(row.origin, folder), room) for row in rows]
    place_width = max(map(len, places))
    value_width = max(paper.width - name_width - place_width - 2, _LEAST_VALUE)
    for row, name, where in zip(rows, names, places, strict=True):
        first, *more = textwrap.wrap(row.value, value_width, break_on_hyphens=False) or [""]
        shown = f"{_DIM}{where}{_PLAIN}" if paper.dim else where
        yield f"{name:<{name_width}}{first:<{value_width}}  {shown}"
        yield from (f"{'':<{name_width}}{part}" for part in more)


def _shortened(where: str, room: int) -> str:
    """The end of a long place, which tells most."""
    return where if len(where) <= room else f"…{where[1 - room :]}"
