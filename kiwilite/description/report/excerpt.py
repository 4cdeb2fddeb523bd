"""The line of a file in which something stands, with the place marked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kiwilite.description.report.printable import cell, columns

ELLIPSIS = "…"
_LEAST = 24
"""A line is cut to no fewer columns, however narrow the terminal says it is."""

_TAG = re.compile(r"</?[^\s<>/=\"']*")
_ATTRIBUTE = re.compile(r"""([^\s<>/="']+)\s*=\s*("[^"]*"?|'[^']*'?)""")
_WORD = re.compile(r"[^\s<>]+")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A line as it is shown, and where the marks below it stand."""

    line: str
    indent: int
    width: int


def excerpt(line: str, column: int, most: int, *, name_only: bool) -> Excerpt:
    """`line` in at most `most` columns, with the token at `column` (from 1) marked.

    Of an attribute it is the name alone, or the value too.
    """
    at = max(0, min(column - 1, len(line)))
    most = max(most, _LEAST)
    nearby = line[at : at + most + 1]
    token = nearby[: _length(nearby, name_only=name_only)] or " "
    before = [cell(character) for character in line[max(0, at - most) : at]]
    marked = "".join(map(cell, token))
    after = "".join(map(cell, nearby[len(token) :])).rstrip()
    begins = at <= most
    if begins and columns("".join([*before, marked, after])) <= most:
        return _marked("".join(before), marked, after)
    return _cut(before, marked, after, most, begins=begins)


def _length(text: str, *, name_only: bool) -> int:
    """How many characters of `text` belong to what begins there."""
    if found := _TAG.match(text):
        return found.end()
    if found := _ATTRIBUTE.match(text):
        return found.end(1) if name_only else found.end()
    word = _WORD.match(text)
    return word.end() if word else 1


def _marked(before: str, token: str, after: str) -> Excerpt:
    return Excerpt(before + token + after, columns(before), max(1, columns(token)))


def _cut(cells: list[str], token: str, after: str, most: int, *, begins: bool) -> Excerpt:
    """The same, around the token: what is before it has a third of the room, if need be."""
    room = most - 2 * columns(ELLIPSIS)
    fitting = _fitting(token, room * 2 // 3)
    before = "".join(cells)
    if not begins or columns(before) + columns(fitting) > room:
        before = ELLIPSIS + _fitting_end(cells, room // 3)
    left = most - columns(before) - columns(fitting)
    if fitting != token or columns(after) > left:
        after = _fitting(after if fitting == token else "", left - 1) + ELLIPSIS
    return _marked(before, fitting, after)


def _fitting(text: str, most: int) -> str:
    """The beginning of `text` in `most` columns."""
    used = 0
    for number, character in enumerate(text):
        used += columns(character)
        if used > most:
            return text[:number]
    return text


def _fitting_end(cells: list[str], most: int) -> str:
    kept: list[str] = []
    for text in reversed(cells):
        most -= columns(text)
        if most < 0:
            break
        kept.append(text)
    return "".join(reversed(kept))
