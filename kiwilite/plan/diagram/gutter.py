"""Arrows between boxes that stand below each other, drawn beside them.

All arrows into one box share a line, its trunk; trunks that overlap get lanes of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiwilite.plan.diagram.model import Arrow, Box

MOST_LANES = 8
"""Trunks that would need more lanes are left out; the boxes say in words what they require."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """The arrows into `target`; lane 0 is next to the boxes."""

    target: str
    sources: tuple[str, ...]
    lane: int


def trunks(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> tuple[Trunk, ...]:
    """A trunk for each box that arrows lead to, short ones nearest to the boxes."""
    places = {box.key: n for n, box in enumerate(boxes)}
    sources: dict[str, list[str]] = {}
    for arrow in arrows:
        sources.setdefault(arrow.target, []).append(arrow.source)

    def span(target: str) -> tuple[int, int]:
        rows = [places[key] for key in (target, *sources[target])]
        return min(rows), max(rows)

    taken: list[list[tuple[int, int]]] = [[] for _ in range(MOST_LANES)]
    found = []
    for target in sorted(sources, key=lambda t: (span(t)[1] - span(t)[0], places[t])):
        low, high = span(target)
        free = (n for n, used in enumerate(taken) if all(high < a or b < low for a, b in used))
        lane = next(free, None)
        if lane is not None:
            taken[lane].append((low, high))
            found.append(Trunk(target, tuple(sources[target]), lane))
    return tuple(found)


def gutter_width(drawn: Sequence[Trunk]) -> int:
    """Columns to the left of the boxes that the trunks need."""
    lanes = max((trunk.lane + 1 for trunk in drawn), default=0)
    return 2 * lanes + 2 if lanes else 0
