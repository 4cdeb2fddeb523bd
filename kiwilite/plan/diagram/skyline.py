"""Places for storage: columns side by side, and on each the boxes that stand on it.

Both renderers use it, each with metrics of its own. A disk with more columns than fit
goes on in another bar below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kiwilite.plan.diagram.model import Box, Disk, Stacked
from kiwilite.plan.diagram.words import pieces, wrap

MOST_LINES = 4
"""Of one sentence in a box."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a renderer counts in: all in its own unit."""

    room: int
    """Width of a bar."""
    edge: int
    """Between the side of a box and its text."""
    rim: int
    """Between top or bottom of a box and its text."""
    gap: int
    """Between boxes; negative where neighbours share a border."""
    line: int
    """Height of a line of text."""
    measure: Callable[[str, bool], int]
    """Width of a text; the second argument says whether it is a title."""
    badge: Callable[[str], int]
    """What a badge takes from the line of the title; nothing where none is drawn."""
    widest: int
    """No part of a word gets more of a column than this without being broken."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text in a box."""

    text: str
    strong: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """A box with its place; x and y of its top left corner within the bar."""

    box: Box
    x: int
    y: int
    width: int
    height: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of columns with all that stands on them."""

    placed: tuple[Placed, ...]
    height: int


def skyline(disk: Disk, metrics: Metrics) -> tuple[Bar, ...]:
    """The bars of `disk`, each as wide as there is room."""
    return tuple(_bar(disk, first, last, metrics) for first, last in _bars(disk, metrics))


def written(box: Box, room: int, metrics: Metrics) -> tuple[Line, ...]:
    """Title and sentences of `box`, wrapped to `room`."""
    beside = room - metrics.badge(box.badge)
    title = wrap(box.title, beside, lambda text: metrics.measure(text, True), MOST_LINES)
    lines = [Line(text, True) for text in title]
    for sentence in box.lines:
        shown = wrap(sentence, room, lambda text: metrics.measure(text, False), MOST_LINES)
        lines += [Line(text, False) for text in shown]
    return tuple(lines)


def _bars(disk: Disk, metrics: Metrics) -> Iterator[tuple[int, int]]:
    """First and last column of each bar; columns that carry one box stay together."""
    least = _least(disk, metrics)
    first, used = 0, 0
    for start, end in _groups(disk):
        wide = sum(least[start : end + 1]) + metrics.gap * (end - start)
        if start > first and used + metrics.gap + wide > metrics.room:
            yield first, start - 1
            first, used = start, wide
        else:
            used += wide + (metrics.gap if start > first else 0)
    yield first, len(disk.columns) - 1


def _groups(disk: Disk) -> Iterator[tuple[int, int]]:
    joined = {n for s in disk.stacked for n in range(s.first, s.last)}
    start = 0
    for n in range(len(disk.columns)):
        if n not in joined:
            yield start, n
            start = n + 1


def _of(disk: Disk, column: int) -> list[Box]:
    """The boxes that have this column to themselves."""
    alone = [s.box for s in (*disk.stacked, *disk.below) if s.first == s.last == column]
    return [disk.columns[column].box, *alone]


def _widest(disk: Disk, column: int, metrics: Metrics, parts: Callable[[str], list[str]]) -> int:
    """Of the parts of all texts that a column has to itself, with what is around them."""
    widths = []
    for box in _of(disk, column):
        beside = metrics.badge(box.badge)
        widths += [metrics.measure(part, True) + beside for part in parts(box.title)]
        widths += [metrics.measure(part, False) for line in box.lines for part in parts(line)]
    return max(widths, default=0) + 2 * metrics.edge


def _least(disk: Disk, metrics: Metrics) -> list[int]:
    """The widths below which a word would be broken elsewhere than at its marks."""
    most = metrics.widest + 2 * metrics.edge
    return [min(most, _widest(disk, n, metrics, _broken)) for n in range(len(disk.columns))]


def _broken(text: str) -> list[str]:
    return [piece for word in text.split() for piece in pieces(word)]


def _widths(disk: Disk, first: int, last: int, metrics: Metrics) -> list[int]:
    """Of the columns of one bar: room for parts of words, for words, for sentences; then
    the rest by weight.
    """
    columns = range(first, last + 1)
    widths = _least(disk, metrics)[first : last + 1]
    most = 2 * (metrics.widest + metrics.edge)
    for parts in (str.split, _whole):
        wanted = [min(most, _widest(disk, n, metrics, parts)) for n in columns]
        wishes = [max(0, want - width) for want, width in zip(wanted, widths, strict=True)]
        widths = _fulfilled(widths, _spare(widths, metrics), wishes)
    weights = [disk.columns[n].weight for n in columns]
    return _wider(widths, _spare(widths, metrics), weights)


def _whole(text: str) -> list[str]:
    return [text]


def _spare(widths: Sequence[int], metrics: Metrics) -> int:
    return max(0, metrics.room - sum(widths) - metrics.gap * (len(widths) - 1))


def _fulfilled(widths: Sequence[int], spare: int, wishes: Sequence[int]) -> list[int]:
    """Wider where a whole wish can be fulfilled, small ones first; half of one helps nobody."""
    wider = list(widths)
    for n in sorted(range(len(wishes)), key=lambda n: (wishes[n], n)):
        if wishes[n] <= spare:
            wider[n] += wishes[n]
            spare -= wishes[n]
    return wider


def _wider(widths: Sequence[int], amount: int, weights: Sequence[int]) -> list[int]:
    return [w + share for w, share in zip(widths, _shares(amount, weights), strict=True)]


def _shares(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole parts, in proportion to `weights`."""
    total = sum(weights)
    if not total:
        return [0 for _ in weights]
    shares, given, seen = [], 0, 0
    for weight in weights:
        seen += weight
        shares.append(amount * seen // total - given)
        given += shares[-1]
    return shares


@dataclass(frozen=True, slots=True)
class _Cell:
    """A box on floors `low` to `high`; floor 0 is that of the partitions."""

    box: Box
    first: int
    last: int
    low: int
    high: int


def _cells(disk: Disk, first: int, last: int) -> list[_Cell]:
    """Floors for all boxes; what carries a box of several columns reaches up to it."""
    cells = [_Cell(disk.columns[n].box, n, n, 0, 0) for n in range(first, last + 1)]
    cells += [_Cell(s.box, s.first, s.last, -1, -1) for s in _within(disk.below, first, last)]
    tops = dict.fromkeys(range(first, last + 1), 0)
    for s in _within(disk.stacked, first, last):
        floor = 1 + max(tops[n] for n in range(s.first, s.last + 1))
        cells = [_reaching(cell, s, floor - 1, tops) for cell in cells]
        cells.append(_Cell(s.box, s.first, s.last, floor, floor))
        tops |= dict.fromkeys(range(s.first, s.last + 1), floor)
    return cells


def _within(boxes: Sequence[Stacked], first: int, last: int) -> list[Stacked]:
    return [s for s in boxes if first <= s.first and s.last <= last]


def _reaching(cell: _Cell, above: Stacked, high: int, tops: dict[int, int]) -> _Cell:
    covered = above.first <= cell.first and cell.last <= above.last
    if not covered or cell.high != tops[cell.first] or cell.high == high or cell.low < 1:
        return cell
    return _Cell(cell.box, cell.first, cell.last, cell.low, high)


def _bar(disk: Disk, first: int, last: int, metrics: Metrics) -> Bar:
    widths = _widths(disk, first, last, metrics)
    lefts = [sum(widths[:n]) + metrics.gap * n for n in range(len(widths))]
    cells = _cells(disk, first, last)
    texts = []
    for cell in cells:
        right = lefts[cell.last - first] + widths[cell.last - first]
        room = right - lefts[cell.first - first] - 2 * metrics.edge
        texts.append(written(cell.box, room, metrics))
    heights = _heights(cells, texts, metrics)
    tops = _tops(heights, metrics)
    placed = []
    for cell, lines in zip(cells, texts, strict=True):
        x = lefts[cell.first - first]
        right = lefts[cell.last - first] + widths[cell.last - first]
        y = tops[cell.high]
        height = tops[cell.low] + heights[cell.low] - y
        placed.append(Placed(cell.box, x, y, right - x, height, lines))
    return Bar(tuple(placed), max(p.y + p.height for p in placed))


def _heights(
    cells: Sequence[_Cell], texts: Sequence[Sequence[Line]], metrics: Metrics
) -> dict[int, int]:
    """Of each floor, as its tallest box needs; one on several floors needs its lowest only."""
    heights: dict[int, int] = {}
    for cell, lines in zip(cells, texts, strict=True):
        need = len(lines) * metrics.line + 2 * metrics.rim
        if cell.high > cell.low:
            need -= (metrics.line + 2 * metrics.rim + metrics.gap) * (cell.high - cell.low)
        heights[cell.low] = max(heights.get(cell.low, 0), need)
    return heights


def _tops(heights: dict[int, int], metrics: Metrics) -> dict[int, int]:
    tops: dict[int, int] = {}
    y = 0
    for floor in sorted(heights, reverse=True):
        tops[floor] = y
        y += heights[floor] + metrics.gap
    return tops
