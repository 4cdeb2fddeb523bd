"""Places for boxes with arrows between them: layers from left to right.

Who requires stands left of what is required. An arrow over several layers has a slot in
each layer between, so that no line ever crosses a box; arrows to the same box share them.
Where profiles require each other in a circle, one arrow of it leads backwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

SWEEPS = 6
"""So often the order within the layers is improved."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A box, or a slot that arrows pass through, in layer `layer` at height `y`."""

    node: int
    """Number of the box; of a slot, of the box its arrows lead to."""
    is_slot: bool
    layer: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Route:
    """An arrow and the spots it goes through, from the left to the right.

    `backwards`: its head is at the left end.
    """

    source: int
    target: int
    backwards: bool
    spots: tuple[Spot, ...]


_Key = tuple[int, bool, int]
"""Of a spot: (node, backwards, layer); a box has backwards False and its own layer."""


def layered(
    heights: Sequence[int], edges: Sequence[tuple[int, int]], *, gap: int, slot: int
) -> tuple[tuple[Spot, ...], tuple[Route, ...]]:
    """Spots of the boxes 0, 1, … of these heights, and the way of each edge.

    `gap` is left between spots of a layer, `slot` is the height of a slot.
    """
    forward = _without_circles(len(heights), edges)
    layer = _layers(len(heights), [(b, a) if back else (a, b) for a, b, back in forward])
    chains = [_chain(a, b, back, layer) for a, b, back in forward]
    rows = _rows(layer, chains)
    links = [pair for chain in chains for pair in pairwise(chain)]
    rows = _ordered(rows, links)
    spots = _placed(rows, links, heights, layer, gap, slot)
    boxes = tuple(spots[n, False, layer[n]] for n in range(len(heights)))
    routes = tuple(
        Route(a, b, back, tuple(spots[key] for key in chain))
        for (a, b, back), chain in zip(forward, chains, strict=True)
    )
    return boxes, routes


def components(count: int, edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The boxes 0 to `count` - 1 in groups that arrows connect, each in order."""
    group = list(range(count))

    def root(n: int) -> int:
        while group[n] != n:
            n = group[n]
        return n

    for a, b in edges:
        low, high = sorted((root(a), root(b)))
        group[high] = low
    found: dict[int, list[int]] = {}
    for n in range(count):
        found.setdefault(root(n), []).append(n)
    return list(found.values())


def _without_circles(count: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int, bool]]:
    """The edges, those marked that lead back to where the way came from."""
    after: dict[int, list[int]] = {}
    for a, b in edges:
        after.setdefault(a, []).append(b)
    state = [0] * count
    back = set()

    def visit(n: int) -> None:
        state[n] = 1
        for m in after.get(n, ()):
            if state[m] == 1:
                back.add((n, m))
            elif state[m] == 0:
                visit(m)
        state[n] = 2

    targets = {b for _, b in edges}
    for n in sorted(range(count), key=lambda n: n in targets):
        if state[n] == 0:
            visit(n)
    return [(a, b, (a, b) in back) for a, b in edges]


def _layers(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Each box one further than what leads to it."""
    before: dict[int, list[int]] = {}
    for a, b in edges:
        before.setdefault(b, []).append(a)

    @cache
    def layer(n: int) -> int:
        return max((layer(m) + 1 for m in before.get(n, ())), default=0)

    return [layer(n) for n in range(count)]


def _chain(source: int, target: int, back: bool, layer: Sequence[int]) -> list[_Key]:
    left, right = (target, source) if back else (source, target)
    between = [(right, back, n) for n in range(layer[left] + 1, layer[right])]
    slots: list[_Key] = [(-1 - node, back, at) for node, back, at in between]
    return [(left, False, layer[left]), *slots, (right, False, layer[right])]


def _rows(layer: Sequence[int], chains: Sequence[Sequence[_Key]]) -> list[list[_Key]]:
    keys: dict[_Key, None] = {(n, False, at): None for n, at in enumerate(layer)}
    keys |= dict.fromkeys(key for chain in chains for key in chain)
    return [[key for key in keys if key[2] == at] for at in range(max(layer) + 1)]


def _neighbours(links: Sequence[tuple[_Key, _Key]]) -> Mapping[_Key, set[_Key]]:
    found: dict[_Key, set[_Key]] = {}
    for a, b in links:
        found.setdefault(a, set()).add(b)
        found.setdefault(b, set()).add(a)
    return found


def _ordered(rows: Sequence[list[_Key]], links: Sequence[tuple[_Key, _Key]]) -> list[list[_Key]]:
    """Each layer in the order of the middles of its neighbours, to and fro."""
    near = _neighbours(links)
    ordered = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        order = range(1, len(ordered)) if forth else range(len(ordered) - 2, -1, -1)
        for at in order:
            place = {key: n for n, key in enumerate(ordered[at - 1 if forth else at + 1])}
            middles = [_middle(key, n, near, place) for n, key in enumerate(ordered[at])]
            pairs = sorted(zip(middles, ordered[at], strict=True))
            ordered[at] = [key for _, key in pairs]
    return ordered


def _middle(
    key: _Key, own: int, near: Mapping[_Key, set[_Key]], place: Mapping[_Key, int]
) -> tuple[float, int]:
    """Where a spot wants to be: the mean of its neighbours in the next layer, or as it is."""
    found = [place[other] for other in near.get(key, ()) if other in place]
    return (sum(found) / len(found) if found else own, own)


def _placed(
    rows: Sequence[Sequence[_Key]],
    links: Sequence[tuple[_Key, _Key]],
    heights: Sequence[int],
    layer: Sequence[int],
    gap: int,
    slot: int,
) -> dict[_Key, Spot]:
    """Each spot as near to the height of its left neighbours as those above it allow."""
    near = _neighbours(links)
    spots: dict[_Key, Spot] = {}
    for at, row in enumerate(rows):
        y = 0
        for key in row:
            is_slot = key[0] < 0
            height = slot if is_slot else heights[key[0]]
            before = [s.y + s.height // 2 for k in near.get(key, ()) if (s := spots.get(k))]
            wish = sum(before) // len(before) - height // 2 if before else y
            y = max(y, wish)
            node = -1 - key[0] if is_slot else key[0]
            spots[key] = Spot(node, is_slot, at, y, height)
            y += height + gap
    return spots
