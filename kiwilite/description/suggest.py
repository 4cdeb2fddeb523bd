"""The nearest legal name for a misspelt one.

What counts is which slip of a hand is how likely: a letter is swapped with the next or hit
on the key beside it sooner than replaced by any other, and hyphens, underscores and
capitals are mixed up most of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

LONGEST: Final = 64
"""Longer words are not misspelt names; comparing them would take long."""

LISTED: Final = 12
"""So many legal names are listed where none is near."""

_KEYS: Final = ("1234567890-", "qwertyuiop[", "asdfghjkl;", "zxcvbnm,./")
"""Rows of a keyboard, each half a key to the right of the one above."""

_JOINTS: Final = frozenset("-_ .")

_CASE, _JOINT, _LOST_JOINT = 0.05, 0.2, 0.4
_DOUBLED, _BESIDE, _SWAPPED, _LOST, _OTHER = 0.7, 0.8, 0.8, 0.9, 1.0
"""What each slip costs."""

_LEAST_OF_A_LETTER: Final = 0.4
"""No slip makes a difference to the set of letters for less, by the letter."""


def nearest(word: str, legal: Iterable[str]) -> str | None:
    """The name among `legal` that was most likely meant by `word`, or None if none is near."""
    if len(word) > LONGEST:
        return None
    best, found = max(_OTHER, len(word) / 3), None
    letters = _letters(word)
    near = [
        (_LEAST_OF_A_LETTER * (letters ^ _letters(name)).bit_count(), number, name)
        for number, name in enumerate(legal)
        if abs(len(name) - len(word)) * _LOST_JOINT <= best
    ]
    for least, _, name in sorted(near):
        if least > best:
            break
        cost = distance(word, name)
        if cost < best or (cost == best and found is None):
            best, found = cost, name
    return found


@lru_cache(maxsize=4096)
def _letters(name: str) -> int:
    """The set of letters in `name`, as bits; nothing but letters counts."""
    bits = 0
    for letter in name.lower():
        if "a" <= letter <= "z":
            bits |= 1 << (ord(letter) - ord("a"))
    return bits


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
    """What the slips cost that make `b` of `a`: insert, delete, replace, swap neighbours."""
    a, b = _differing(a, b)
    previous2: list[float] = []
    previous = [0.0]
    for j in range(len(b)):
        previous.append(previous[-1] + _loss(b, j))
    for i, x in enumerate(a):
        lost = _loss(a, i)
        current = [previous[0] + lost]
        for j, y in enumerate(b):
            if x == y:
                cost = previous[j]
            else:
                cost = min(
                    previous[j] + _replacement(x, y),
                    previous[j + 1] + lost,
                    current[j] + _loss(b, j),
                )
                if i and j and x == b[j - 1] and a[i - 1] == y:
                    cost = min(cost, previous2[j - 1] + _SWAPPED)
            current.append(cost)
        previous2, previous = previous, current
    return previous[-1]


def _differing(a: str, b: str) -> tuple[str, str]:
    """Both without what they have in common at either end, but for the letter beside."""
    most = min(len(a), len(b))
    start = 0
    while start < most and a[start] == b[start]:
        start += 1
    start = max(0, start - 1)
    end = 0
    while end < most - start and a[-1 - end] == b[-1 - end]:
        end += 1
    end = max(0, end - 1)
    return a[start : len(a) - end], b[start : len(b) - end]


def _loss(word: str, at: int) -> float:
    """What it costs to lose a letter of `word`, or to add it."""
    if word[at] in _JOINTS:
        return _LOST_JOINT
    return _DOUBLED if at and word[at] == word[at - 1] else _LOST


@lru_cache(maxsize=4096)
def _replacement(x: str, y: str) -> float:
    """What it costs to write one letter for the other."""
    if x.lower() == y.lower():
        return _CASE
    if x in _JOINTS and y in _JOINTS:
        return _JOINT
    first, second = _place(x), _place(y)
    if first is None or second is None:
        return _OTHER
    beside = abs(first[0] - second[0]) <= 1 and abs(first[1] - second[1]) <= 1
    return _BESIDE if beside else _OTHER


def _place(letter: str) -> tuple[int, float] | None:
    """Row and column of the key of `letter`."""
    for row, keys in enumerate(_KEYS):
        column = keys.find(letter.lower())
        if column >= 0:
            return row, column + row / 2
    return None
