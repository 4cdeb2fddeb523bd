"""The region map: what vouches for each byte of the disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """What is known of some bytes; where claims meet, the one that is further up counts."""

    CHECKED = "checked"
    """A change here is a finding."""
    UNALLOCATED = "unallocated"
    """Nobody reads these bytes: what they are does not matter."""
    UNCHECKED = "unchecked"
    """In use, but nothing in the image tells what they should be."""


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes `start` up to `end` (not included) of the disk; `by` names the check, or why none."""

    start: int
    end: int
    state: State
    part: str
    by: str


_ORDER = list(State)
_NOBODY = "no check knows them"


def region_map(claims: Iterable[Region], size: int) -> tuple[Region, ...]:
    """All `size` bytes of the disk in order, without gaps or overlaps.

    Claims may overlap and come in any order; of equals the earlier one counts. Bytes
    without a claim are unchecked.
    """
    everything = Region(0, size, State.UNCHECKED, "disk", _NOBODY)
    ranked = sorted(
        enumerate([c for c in claims if c.start < c.end] + [everything]),
        key=lambda item: (_ORDER.index(item[1].state), item[1] is everything, item[0]),
    )
    events: list[tuple[int, int, int]] = []
    for rank, (_, claim) in enumerate(ranked):
        events.append((max(0, claim.start), 1, rank))
        events.append((min(size, claim.end), 0, rank))
    by_rank = [claim for _, claim in ranked]
    return tuple(_swept(sorted(events), by_rank, size))


def _swept(events: list[tuple[int, int, int]], by_rank: list[Region], size: int) -> list[Region]:
    """Go through the borders in order; between two, the best of the open claims counts."""
    import heapq

    found: list[Region] = []
    opened: list[int] = []
    closed: set[int] = set()
    at = 0
    for position, opens, rank in events:
        if position > at:
            while opened[0] in closed:
                heapq.heappop(opened)
            _add(found, at, position, by_rank[opened[0]])
            at = position
        if opens:
            heapq.heappush(opened, rank)
        else:
            closed.add(rank)
    assert at == size
    return found


def _add(found: list[Region], start: int, end: int, claim: Region) -> None:
    last = found[-1] if found else None
    if last and (last.state, last.part, last.by) == (claim.state, claim.part, claim.by):
        start = found.pop().start
    found.append(Region(start, end, claim.state, claim.part, claim.by))


def state_at(regions: Iterable[Region], offset: int) -> State:
    """What the map says of one byte."""
    return next(r.state for r in regions if r.start <= offset < r.end)
