"""The profiles of the SVG: those that require each other as a graph, the others in rows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from kiwilite.plan.diagram import shapes
from kiwilite.plan.diagram.layers import Route, Spot, components, layered
from kiwilite.plan.diagram.model import Box, Diagram
from kiwilite.plan.diagram.shapes import EDGE, INNER, Part, Written
from kiwilite.plan.diagram.words import wrap

COLUMNS = 4
GAP = 56
"""Between layers, where arrows bend."""
BOX = (INNER - (COLUMNS - 1) * GAP) // COLUMNS
BETWEEN = 16
SLOT = 6
ASIDE = 8
"""Arrows that lead backwards begin and end so much lower."""
NAME_LINES = 4


def profiles(diagram: Diagram) -> Part:
    """All profiles, and below them what holds always."""
    elements: list[str] = []
    numbers = {box.key: n for n, box in enumerate(diagram.profiles)}
    edges = [(numbers[a.source], numbers[a.target]) for a in diagram.requires]
    width, y = INNER, 0
    alone = []
    for group in components(len(diagram.profiles), edges):
        if len(group) == 1:
            alone.append(diagram.profiles[group[0]])
            continue
        part = _graph(diagram.profiles, group, edges)
        elements.append(shapes.moved(part, 0, y))
        width = max(width, part.width)
        y += part.height + BETWEEN
    for at in range(0, len(alone), COLUMNS):
        part = _row(alone[at : at + COLUMNS])
        elements.append(shapes.moved(part, 0, y))
        y += part.height + BETWEEN
    lines = _written(diagram.always, INNER)
    height = shapes.height_of(len(lines))
    elements.append(shapes.box(diagram.always, shapes.Place(0, y, INNER), height, lines))
    return Part(tuple(elements), width, y + height)


def _written(box: Box, width: int) -> list[Written]:
    room = width - 2 * EDGE
    lines = [shapes.title_line(box, room)]
    for sentence in box.lines:
        lines += [("words", s) for s in wrap(sentence, room, shapes.words, shapes.MOST)]
    return [*lines, *shapes.names(box.names, room, NAME_LINES)]


def _row(boxes: Sequence[Box]) -> Part:
    """Profiles that have no arrows, side by side."""
    lines = [_written(box, BOX) for box in boxes]
    height = max(shapes.height_of(len(found)) for found in lines)
    elements = [
        shapes.box(box, shapes.Place(n * (BOX + GAP), 0, BOX), height, found)
        for n, (box, found) in enumerate(zip(boxes, lines, strict=True))
    ]
    return Part(tuple(elements), INNER, height)


def _graph(boxes: Sequence[Box], group: Sequence[int], edges: Sequence[tuple[int, int]]) -> Part:
    """Profiles that arrows connect."""
    local = {number: n for n, number in enumerate(group)}
    inner = [(local[a], local[b]) for a, b in edges if a in local]
    lines = [_written(boxes[number], BOX) for number in group]
    heights = [shapes.height_of(len(found)) for found in lines]
    spots, routes = layered(heights, inner, gap=BETWEEN, slot=SLOT)
    elements = []
    for route in sorted(routes, key=lambda r: boxes[group[r.source]].holds):
        source, target = boxes[group[route.source]], boxes[group[route.target]]
        elements.append(shapes.arrow(source.key, target.key, _path(route), source.holds))
    for number, spot, found in zip(group, spots, lines, strict=True):
        place = shapes.Place(_left(spot), spot.y, BOX)
        elements.append(shapes.box(boxes[number], place, spot.height, found))
    bottoms = [s.y + s.height for s in (*spots, *(s for r in routes for s in r.spots))]
    width = max(_left(spot) for spot in spots) + BOX
    return Part(tuple(elements), width, max(bottoms))


def _left(spot: Spot) -> int:
    return spot.layer * (BOX + GAP)


def _path(route: Route) -> str:
    """Bends in the gaps, straight through the slots; it ends where the head is."""
    aside = ASIDE if route.backwards else 0

    def height(spot: Spot) -> int:
        return spot.y + spot.height // 2 + (0 if spot.is_slot else aside)

    points = []
    for a, b in pairwise(route.spots):
        points += [(_left(a) + BOX, height(a)), (_left(b), height(b))]
    if route.backwards:
        points.reverse()
    path = f"M{points[0][0]} {points[0][1]}"
    for n, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        bends = n % 2 == 0
        middle = (x + to_x) // 2
        path += f"C{middle} {y} {middle} {to_y} {to_x} {to_y}" if bends else f"H{to_x}"
    return path
