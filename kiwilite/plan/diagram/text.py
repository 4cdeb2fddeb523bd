"""The picture in the characters of a terminal, 80 columns wide."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kiwilite.description.report.printable import columns as cells
from kiwilite.plan.diagram.canvas import Canvas
from kiwilite.plan.diagram.gutter import Trunk, gutter_width, trunks
from kiwilite.plan.diagram.model import Box, Diagram, Disk
from kiwilite.plan.diagram.skyline import Bar, Metrics, skyline
from kiwilite.plan.diagram.words import cut, fold, wrap

WIDTH = 80
LABEL = 20
"""Columns for the name of a box in a lane."""
NAME_LINES = 4
SENTENCE_LINES = 2

METRICS: Final = Metrics(
    room=WIDTH,
    edge=1,
    rim=1,
    gap=-1,
    line=1,
    measure=lambda text, _: cells(text),
    badge=lambda _: 0,
    widest=16,
)


def text(diagram: Diagram) -> str:
    """The whole picture; ends with a newline."""
    parts = [_head(diagram), _profiles(diagram), _packages(diagram)]
    if diagram.disk is not None:
        parts.append(_storage(diagram.disk))
    elif diagram.instead:
        lines = [line for s in diagram.instead for line in wrap(s, WIDTH, cells, SENTENCE_LINES)]
        parts.append(["Storage", *lines])
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(diagram: Diagram) -> list[str]:
    return [cut(diagram.title, WIDTH, cells), *wrap(diagram.subtitle, WIDTH, cells, NAME_LINES)]


def _mark(box: Box) -> str:
    return "●" if box.holds else "○"


def _profiles(diagram: Diagram) -> list[str]:
    drawn = trunks(diagram.profiles, diagram.requires)
    left = gutter_width(drawn)
    canvas = Canvas()
    entries: dict[str, int] = {}
    exits: dict[tuple[str, str], int] = {}
    titles = {box.key: box.title for box in diagram.profiles}
    y = 0
    for box in (*diagram.profiles, diagram.always):
        wanted = [a.target for a in diagram.requires if a.source == box.key]
        entries[box.key] = y + 1
        exits |= {(box.key, target): y + 2 + n for n, target in enumerate(wanted)}
        rows = [f"{_mark(box)} {cut(box.title, WIDTH - left - 20, cells)}"]
        rows += [f"requires {titles[target]}" for target in wanted]
        rows += _sentences(box, WIDTH - left - 6)
        _framed(canvas, left, y, rows, box.badge)
        y += len(rows) + 2
    for trunk in drawn:
        _draw(canvas, trunk, left, entries, exits)
    legend = "● holds, ○ does not; by default: selected where no profile is asked for"
    return ["Profiles", legend if diagram.profiles else "● holds", *canvas.rows()]


def _sentences(box: Box, room: int) -> Iterator[str]:
    for sentence in box.lines:
        yield from wrap(sentence, room, cells, SENTENCE_LINES)
    if box.names:
        yield from fold(box.names, room, cells, SENTENCE_LINES)


def _framed(canvas: Canvas, x: int, y: int, rows: Sequence[str], badge: str) -> None:
    """A box from column `x` to the right edge."""
    canvas.frame(x, y, WIDTH - x, len(rows) + 2)
    first, *others = rows
    canvas.text(x + 2, y + 1, first)
    for n, row in enumerate(others, 2):
        canvas.text(x + 4, y + n, cut(row, WIDTH - x - 6, cells))
    canvas.text(WIDTH - 2 - cells(badge), y + 1, badge)


def _draw(
    canvas: Canvas,
    trunk: Trunk,
    left: int,
    entries: dict[str, int],
    exits: dict[tuple[str, str], int],
) -> None:
    """All arrows into one box: a line down the gutter that the others join."""
    x = left - 2 - 2 * (trunk.lane + 1)
    goal = entries[trunk.target]
    rows = [goal, *(exits[source, trunk.target] for source in trunk.sources)]
    canvas.vertical(x, min(rows), max(rows))
    for row in rows[1:]:
        canvas.horizontal(x, row, left)
    canvas.horizontal(x, goal, left - 1)
    canvas.text(left - 1, goal, "▶")


def _packages(diagram: Diagram) -> list[str]:
    if not diagram.lanes:
        return ["Packages", "The description names none."]
    canvas = Canvas()
    sources = {arrow.source for arrow in diagram.flow}
    y = 0
    for lane in diagram.lanes:
        rows = [row for box in lane.boxes for row in _row(box)]
        canvas.frame(0, y, WIDTH, len(rows) + 2)
        room = WIDTH - 8 - cells(lane.badge)
        canvas.text(2, y, f" {cut(lane.title, room - 2, cells)} ")
        canvas.text(WIDTH - 4 - cells(lane.badge), y, f" {lane.badge} ")
        for at, row in enumerate(rows, 1):
            canvas.text(2, y + at, row)
        y += len(rows) + 2
        if lane.key in sources:
            canvas.text(WIDTH // 2, y, "▼")
            y += 1
    return ["Packages", *canvas.rows()]


def _row(box: Box) -> Iterator[str]:
    """Name, number and names of a box, as rows of a lane."""
    room = WIDTH - 4 - LABEL - 8
    rows = fold(box.names, room, cells, NAME_LINES)
    rows += [line for s in box.lines for line in wrap(s, room, cells, SENTENCE_LINES)]
    label = cut(box.title, LABEL, cells)
    label += " " * (LABEL - cells(label))
    first, *others = rows or ["nothing"]
    yield f"{_mark(box)} {label} {box.badge:>4} {first}"
    yield from (" " * (LABEL + 8) + other for other in others)


def _storage(disk: Disk) -> list[str]:
    rows = ["Storage", cut(disk.title, WIDTH, cells)]
    for bar in skyline(disk, METRICS):
        rows += _bar(bar)
    return [*rows, "", *(row for note in disk.notes for row in _note(*note))]


def _note(name: str, words: str) -> Iterator[str]:
    first, *others = wrap(words, WIDTH - LABEL, cells, NAME_LINES)
    yield f"{name:<{LABEL}}{first}"
    yield from (" " * LABEL + other for other in others)


def _bar(bar: Bar) -> list[str]:
    canvas = Canvas()
    for placed in bar.placed:
        canvas.frame(placed.x, placed.y, placed.width, placed.height)
        for n, line in enumerate(placed.lines, 1):
            canvas.text(placed.x + 1, placed.y + n, line.text)
    return canvas.rows()
