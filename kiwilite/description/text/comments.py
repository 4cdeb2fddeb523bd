"""Comments of several lines, moved along with the place where they begin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_TAB: Final = 8
_BLANK: Final = " \t"
_FURTHEST: Final = 256
"""No comment moves further to the right, however long a line it gets to stand in."""


@dataclass(frozen=True, slots=True)
class Line:
    """What stands in a line so far: how many columns it is indented, and takes in all."""

    indentation: int = 0
    width: int = 0

    def then(self, text: str) -> Line:
        """The line that one is in after `text`."""
        _, line_break, last = text.rpartition("\n")
        if line_break:
            return Line(indentation(last), _width(last))
        column = self.width % _TAB
        return Line(self.indentation, self.width - column + _width(" " * column + text))


def indentation(line: str) -> int:
    """How many columns of white space `line` begins with."""
    return _width(line[: len(line) - len(line.lstrip(_BLANK))])


def moved(comment: str, before: Line, now: Line) -> str:
    """`comment`, which stood behind `before`, as it stands behind `now`.

    Its other lines follow its own column if none of them is left of that, else the
    indentation of the line it begins in.
    """
    first, *others = comment.split("\n")
    least = min((indentation(line) for line in others if line.strip(_BLANK)), default=0)
    along_the_line = now.indentation - before.indentation
    with_its_column = now.width - before.width
    by = min(along_the_line if least < before.width else with_its_column, _FURTHEST)
    return "\n".join([first, *(_shifted(line, by) for line in others)])


def _shifted(line: str, by: int) -> str:
    """`line` with its indentation changed; a blank one stays as it is."""
    rest = line.lstrip(_BLANK)
    if by == 0 or not rest:
        return line
    return " " * max(0, indentation(line) + by) + rest


def _width(text: str) -> int:
    return len(text.expandtabs(_TAB))
