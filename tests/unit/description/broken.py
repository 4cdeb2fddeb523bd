"""What breakages are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from specimens import Part, Text, render


@dataclass(frozen=True, slots=True)
class Broken:
    """A description with one mistake; `kiwi` says whether KIWI refuses it, too."""

    text: str
    place: tuple[int, int]
    codes: tuple[str, ...]
    kiwi: bool = True


Breakage = Callable[[Part, random.Random], Broken | None]


def known(root: Part) -> list[Part]:
    """Elements of the vocabulary, without data of other tools."""
    return [part for part in root.walk() if ":" not in part.name]


def broken_at(root: Part, rng: random.Random, part: Part, attribute: str, *codes: str) -> Broken:
    """`root` as it is now, with the mistake at `part` or at its `attribute`."""
    text = render(root, rng.randrange(1000))
    return Broken(text.text, text.place(part, attribute), codes)


def pick(rng: random.Random, found: Sequence[tuple[Part, str]]) -> tuple[Part, str] | None:
    """One of `found`, or None of none."""
    return rng.choice(found) if found else None


def offset_of(text: Text, place: tuple[int, int]) -> int:
    """Of a place as (line, column)."""
    lines = text.text.split("\n")
    return sum(len(line) + 1 for line in lines[: place[0] - 1]) + place[1] - 1


def line_column(text: str, offset: int) -> tuple[int, int]:
    """The place of an offset."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
