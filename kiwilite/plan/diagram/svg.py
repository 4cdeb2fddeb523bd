"""The picture as one SVG file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kiwilite.plan.diagram import shapes
from kiwilite.plan.diagram.model import Box, Diagram, Disk, Lane
from kiwilite.plan.diagram.shapes import INNER, LINE, MARGIN, MOST, WIDTH, Part
from kiwilite.plan.diagram.skyline import skyline
from kiwilite.plan.diagram.style import HEADING, PLAIN, STRONG, TITLE, stylesheet
from kiwilite.plan.diagram.svg_profiles import profiles
from kiwilite.plan.diagram.words import cut, wrap

LANE_PAD = 12
FLOW = 28
"""Between lanes, where the arrow is."""
COLUMNS = 4
MANY_NAMES = 24
"""A box with more names has a row of its own."""
NAME_LINES = 4
_HOLDS: Final = (("plain", "holds"), ("idle", "does not hold"))
_TONES: Final = (
    ("verified", "verified"),
    ("encrypted", "encrypted"),
    ("mount", "mounted"),
    ("boot", "boot"),
    ("partition", "partition"),
)


def svg(diagram: Diagram) -> str:
    """The whole picture; the same bytes for the same picture."""
    body: list[str] = []
    y = MARGIN + TITLE
    body += [shapes.text("title", MARGIN, y, cut(diagram.title, INNER, shapes.titles))]
    y += 24
    for line in wrap(diagram.subtitle, INNER, shapes.words, MOST):
        body.append(shapes.text("words quiet", MARGIN, y, line))
        y += LINE
    y += 3
    graph = profiles(diagram)
    width = max(WIDTH, graph.width + 2 * MARGIN)
    for heading, colours, part in (
        ("Profiles", _HOLDS, graph),
        ("Packages", (), _packages(diagram)),
        ("Storage", _TONES if diagram.disk else (), _storage(diagram)),
    ):
        y += HEADING + 12
        body.append(shapes.text("heading", MARGIN, y, heading))
        body += shapes.legend(y, colours)
        y += 14
        body.append(shapes.moved(part, MARGIN, y))
        y += part.height + 12
    return _document(diagram, body, width, y + MARGIN - 12)


def _document(diagram: Diagram, body: Sequence[str], width: int, height: int) -> str:
    about = "Profiles, packages and storage of a kiwilite description"
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img" aria-labelledby="name about">',
            f'<title id="name">{shapes.escape(diagram.title)}</title>',
            f'<desc id="about">{shapes.escape(f"{about}: {diagram.subtitle}")}</desc>',
            f"<style>\n{stylesheet()}\n</style>",
            shapes.heads(),
            f'<rect class="paper" width="{width}" height="{height}"/>',
            *body,
            "</svg>\n",
        ]
    )


def _packages(diagram: Diagram) -> Part:
    if not diagram.lanes:
        return shapes.sentences(["The description names no packages."])
    elements: list[str] = []
    sources = {arrow.target: arrow.source for arrow in diagram.flow}
    y = 0
    for lane in diagram.lanes:
        if lane.key in sources:
            path = f"M{INNER // 2} {y - FLOW}V{y}"
            elements.append(shapes.arrow(sources[lane.key], lane.key, path, True))
        part = _lane(lane)
        elements.append(shapes.moved(part, 0, y))
        y += part.height + FLOW
    return Part(tuple(elements), INNER, y - FLOW)


def _lane(lane: Lane) -> Part:
    """A frame with a title and the boxes in rows."""
    elements = []
    y = LANE_PAD + LINE + 6
    for row in _rows(lane.boxes):
        width = (INNER - (len(row) + 1) * LANE_PAD) // len(row)
        lines = [_written(box, width) for box in row]
        height = max(shapes.height_of(len(found)) for found in lines)
        x = LANE_PAD
        for box, found in zip(row, lines, strict=True):
            elements.append(shapes.box(box, shapes.Place(x, y, width), height, found))
            x += width + LANE_PAD
        y += height + LANE_PAD
    title = cut(lane.title, INNER - 260, shapes.strong)
    head = [
        shapes.rect("lane", 0, 0, INNER, y),
        shapes.text("strong", LANE_PAD, LANE_PAD + STRONG, title),
        shapes.text("badge quiet", INNER - LANE_PAD, LANE_PAD + STRONG, lane.badge),
    ]
    return shapes.grouped(lane.key, [*head, *elements], INNER, y)


def _rows(boxes: Sequence[Box]) -> list[list[Box]]:
    """The boxes by row: those with many names alone, the others side by side."""
    runs: list[list[Box]] = [[]]
    for box in boxes:
        if len(box.names) > MANY_NAMES:
            runs += [[box], []]
        else:
            runs[-1].append(box)
    return [row for run in runs if run for row in _side_by_side(run)]


def _side_by_side(run: Sequence[Box]) -> list[list[Box]]:
    """As many in a row as leave the last row fullest."""
    count = min(COLUMNS, len(run))
    if len(run) > COLUMNS:
        count = min((COLUMNS, COLUMNS - 1), key=lambda c: (-len(run) % c, -c))
    return [list(run[at : at + count]) for at in range(0, len(run), count)]


def _written(box: Box, width: int) -> list[shapes.Written]:
    room = width - 2 * shapes.EDGE
    lines = [shapes.title_line(box, room)]
    most = 2 * NAME_LINES if len(box.names) > MANY_NAMES else NAME_LINES
    lines += shapes.names(box.names, room, most)
    for sentence in box.lines:
        lines += [("words quiet", s) for s in wrap(sentence, room, shapes.words, MOST)]
    return lines


def _storage(diagram: Diagram) -> Part:
    if diagram.disk is None:
        return shapes.sentences(diagram.instead)
    return _disk(diagram.disk)


def _disk(disk: Disk) -> Part:
    elements = [shapes.text("words quiet", 0, PLAIN, cut(disk.title, INNER, shapes.words))]
    y = 24
    for bar in skyline(disk, shapes.METRICS):
        for placed in bar.placed:
            lines = [("strong" if one.strong else "words", one.text) for one in placed.lines]
            place = shapes.Place(placed.x, y + placed.y, placed.width)
            elements.append(shapes.box(placed.box, place, placed.height, lines))
        y += bar.height + 24
    for name, words in disk.notes:
        elements.append(shapes.text("words quiet", 0, y, name))
        for line in wrap(words, INNER - 110, shapes.words, MOST):
            elements.append(shapes.text("words", 110, y, line))
            y += LINE
    return Part(tuple(elements), INNER, y - LINE + 6)
