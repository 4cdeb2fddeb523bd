"""What a picture shows, before anybody draws it.

Boxes and arrows have keys; what a renderer folds or cuts for want of room stands here in
full. Texts are as the description has them: a renderer makes them fit to be shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["plain", "verified", "encrypted", "boot", "mount", "partition"]
"""What a box stands for, where a renderer has colours."""


@dataclass(frozen=True, slots=True)
class Box:
    """A thing with a name. `lines` are sentences, `names` a list that may be folded."""

    key: str
    title: str
    badge: str = ""
    lines: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    holds: bool = True
    """Whether it is part of what is selected."""
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box or lane to another, by their keys."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Lane:
    """Boxes of one kind, in a frame."""

    key: str
    title: str
    badge: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """What storage stands on: a partition, or memory; a larger `weight` is drawn wider."""

    box: Box
    weight: int


@dataclass(frozen=True, slots=True)
class Stacked:
    """A box on top of all that stands in columns `first` to `last`."""

    box: Box
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Disk:
    """Partitions side by side, what stands on them from the bottom up, what points to them."""

    title: str
    columns: tuple[Column, ...]
    stacked: tuple[Stacked, ...]
    below: tuple[Stacked, ...]
    """What shows a partition from outside: the entries of a hybrid MBR."""
    notes: tuple[tuple[str, str], ...]
    """What is to be said of all of it: (name, words)."""


@dataclass(frozen=True, slots=True)
class Diagram:
    """The whole picture. Arrows of `requires` go from who requires to what is required."""

    title: str
    subtitle: str
    always: Box
    """What holds with every selection."""
    profiles: tuple[Box, ...]
    requires: tuple[Arrow, ...]
    lanes: tuple[Lane, ...]
    flow: tuple[Arrow, ...]
    """Between lanes, in the order in which a build goes through them."""
    disk: Disk | None
    instead: tuple[str, ...]
    """Sentences in place of a disk that is not there."""
