"""The nearest legal name for a misspelt one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

LONGEST = 64
"""Longer words are not misspelt names; comparing them would take long."""

LISTED = 12
"""So many legal names are listed where none is near."""


def nearest(word: str, legal: Iterable[str]) -> str | None:
    """The name among `legal` that was most likely meant by `word`, or None if none is near."""
    if len(word) > LONGEST:
        return None
    limit = max(1.0, len(word) / 3)
    near = (name for name in legal if abs(len(name) - len(word)) <= limit)
    best = min(((distance(word, name), n, name) for n, name in enumerate(near)), default=None)
    return best[2] if best and best[0] <= limit else None


def hint(word: str, legal: Iterable[str], quote: str = "`{}`") -> str | None:
    """`did you mean …?`, or None if nothing is near."""
    found = nearest(word, legal)
    return f"did you mean {quote.format(found)}?" if found is not None else None


def legal(introduction: str, names: Sequence[str]) -> str | None:
    """`introduction` and the first of `names`, or None if there are none."""
    if not names:
        return None
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{introduction} {', '.join(f'`{name}`' for name in names[:LISTED])}{more}"


def distance(a: str, b: str) -> float:
    """Edits from `a` to `b`: insert, delete, replace, swap neighbours.

    Another case, and a hyphen for an underscore, count half.
    """
    previous2: list[float] = []
    previous: list[float] = [float(n) for n in range(len(b) + 1)]
    for i, x in enumerate(a, start=1):
        current = [float(i)]
        for j, y in enumerate(b, start=1):
            cost = min(previous[j] + 1, current[j - 1] + 1, previous[j - 1] + _replacement(x, y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, previous2[j - 2] + 1)
            current.append(cost)
        previous2, previous = previous, current
    return previous[-1]


def _replacement(x: str, y: str) -> float:
    if x == y:
        return 0.0
    if x.lower() == y.lower() or {x, y} == {"-", "_"}:
        return 0.5
    return 1.0
