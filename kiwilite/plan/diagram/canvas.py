"""Characters on a grid; lines that meet join."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description.report.printable import columns as cells

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
_SIGNS: Final = " │││─┘┐┤─└┌├─┴┬┼"
"""By the sum of the directions that a line leaves its cell in."""


class Canvas:
    """A picture in the making. Text covers lines; x counts columns, y rows."""

    def __init__(self) -> None:
        self._lines: dict[tuple[int, int], int] = {}
        self._text: dict[tuple[int, int], str] = {}

    def text(self, x: int, y: int, text: str) -> None:
        """`text` from (x, y) to the right; a wide character takes two columns."""
        for character in text:
            width = cells(character)
            if width == 0:
                self._text[x - 1, y] = self._text.get((x - 1, y), " ") + character
                continue
            self._text[x, y] = character
            if width == 2:
                self._text[x + 1, y] = ""
            x += width

    def horizontal(self, x: int, y: int, to: int) -> None:
        """A line between two columns of row `y`."""
        for at in range(x, to):
            self._add(at, y, RIGHT)
            self._add(at + 1, y, LEFT)

    def vertical(self, x: int, y: int, to: int) -> None:
        """A line between two rows of column `x`."""
        for at in range(y, to):
            self._add(x, at, DOWN)
            self._add(x, at + 1, UP)

    def frame(self, x: int, y: int, width: int, height: int) -> None:
        """A box of this size, borders included."""
        right, bottom = x + width - 1, y + height - 1
        self.horizontal(x, y, right)
        self.horizontal(x, bottom, right)
        self.vertical(x, y, bottom)
        self.vertical(right, y, bottom)

    def _add(self, x: int, y: int, direction: int) -> None:
        self._lines[x, y] = self._lines.get((x, y), 0) | direction

    def rows(self) -> list[str]:
        """The picture, without blanks at the ends of its rows."""
        used = [*self._lines, *self._text]
        width = max((x for x, _ in used), default=-1) + 1
        height = max((y for _, y in used), default=-1) + 1
        return ["".join(self._row(y, width)).rstrip() for y in range(height)]

    def _row(self, y: int, width: int) -> Iterator[str]:
        for x in range(width):
            sign = self._text.get((x, y))
            yield _SIGNS[self._lines.get((x, y), 0)] if sign is None else sign
