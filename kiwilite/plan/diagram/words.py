"""Words made to fit: cleaned of what a screen would obey, wrapped, cut and folded.

Everything that comes from a description goes through one of these before it is drawn.
A measure gives the width of a text in whatever unit the renderer counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

Measure = Callable[[str], int]

MOST_MARKS = 2
"""So many combining marks stay on one character."""

LONGEST = 400
"""More characters than this of one text are never drawn."""

_PIECES = re.compile(r"/*[^/,+:_-]+[,+:_-]*|[/,+:_-]+")


def clean(text: str) -> str:
    """`text` on one line, without anything that steers a terminal or turns the direction."""
    marks = 0
    kept = []
    for character in " ".join(text.split()):
        category = unicodedata.category(character)
        marks = marks + 1 if category.startswith("M") else 0
        if category.startswith("Z"):
            kept.append(" ")
        elif category.startswith("C"):
            kept.append("\N{REPLACEMENT CHARACTER}")
        elif marks <= MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def cut(text: str, room: int, measure: Measure) -> str:
    """`text`, or as much of its beginning as there is room for, and an ellipsis."""
    shown = clean(text[:LONGEST])
    if len(text) <= LONGEST and measure(shown) <= room:
        return shown
    return _beginning(shown, room - measure("…"), measure).rstrip() + "…"


def _beginning(text: str, room: int, measure: Measure) -> str:
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[:middle]) <= room else (low, middle - 1)
    return text[:low]


def pieces(word: str) -> list[str]:
    """The parts a word may be broken into: before the `/` of a path, behind other marks."""
    return _PIECES.findall(word)


def wrap(text: str, room: int, measure: Measure, most: int) -> list[str]:
    """`text` in at most `most` lines of `room`; words are broken where they do not fit."""
    lines: list[str] = []
    line = ""
    for glue, part in _parts(clean(text[:LONGEST]), room, measure):
        longer = f"{line}{glue}{part}" if line else part
        if line and measure(longer) > room:
            lines.append(line)
            line = part
        else:
            line = longer
    if line:
        lines.append(line)
    if len(lines) <= most and len(text) <= LONGEST:
        return lines
    last = lines[most - 1] if len(lines) >= most else lines[-1]
    return [*lines[: most - 1], _with_ellipsis(last, room, measure)]


def _with_ellipsis(line: str, room: int, measure: Measure) -> str:
    return _beginning(line, room - measure("…"), measure).rstrip() + "…"


def _parts(text: str, room: int, measure: Measure) -> Iterator[tuple[str, str]]:
    """(what joins it to the one before, the part), each part no wider than `room`."""
    for word in text.split(" "):
        glue = " "
        for piece in [word] if measure(word) <= room else pieces(word):
            rest = piece
            while measure(rest) > room and len(rest) > 1:
                head = _beginning(rest, room, measure) or rest[0]
                yield glue, head
                glue, rest = "", rest[len(head) :]
            yield glue, rest
            glue = ""


def more(count: int) -> str:
    """What stands for `count` names that are not shown."""
    return f"… and {count} more"


def fold(
    names: Sequence[str], room: int, measure: Measure, most: int, between: str = "  "
) -> list[str]:
    """`names` side by side in at most `most` lines, and how many are not shown."""
    lines: list[list[str]] = [[]]
    shown = 0
    for name in names:
        word = cut(name, room, measure)
        if lines[-1] and measure(between.join([*lines[-1], word])) > room:
            if len(lines) == most:
                break
            lines.append([])
        lines[-1].append(word)
        shown += 1
    if shown < len(names):
        _say_how_many_more(lines[-1], len(names) - shown, room, measure, between)
    return [between.join(line) for line in lines if line]


def _say_how_many_more(
    line: list[str], missing: int, room: int, measure: Measure, between: str
) -> None:
    """Put `… and N more` at the end of `line`, in place of names where there is no room."""
    while line and measure(between.join([*line, more(missing)])) > room:
        line.pop()
        missing += 1
    line.append(more(missing))


def listed(names: Sequence[str], most: int) -> str:
    """`names` in a sentence, at most `most` of them."""
    shown = ", ".join(names[:most])
    return f"{shown} {more(len(names) - most)}" if len(names) > most else shown


def counted(number: int, word: str) -> str:
    """`1 package`, `2 packages`."""
    return f"{number} {word}{'' if number == 1 else 's'}"
