"""What is wrong with an image, and where: values, made into text at the edge only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How bad it is. A note tells what cannot be promised and does not make an image unsound."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Place:
    """Bytes `start` up to `end` (not included) of the disk; `part` is a partition's name,
    or what else lies there ("MBR", "primary GPT", "gap", ...).
    """

    part: str
    start: int
    end: int

    def overlaps(self, start: int, end: int) -> bool:
        """Whether a byte of `start` up to `end` is among these."""
        return self.start < end and start < self.end


@dataclass(frozen=True, slots=True)
class Finding:
    """`what` is one sentence, `advice` says what to do now (may be empty)."""

    severity: Severity
    place: Place
    what: str
    advice: str = ""
    also: tuple[Place, ...] = ()
    """Other bytes that may be the wrong ones instead, such as the tag of a sector."""

    def touches(self, start: int, end: int) -> bool:
        """Whether it is about a byte of `start` up to `end`."""
        return any(place.overlaps(start, end) for place in (self.place, *self.also))


def error(place: Place, what: str, advice: str = "") -> Finding:
    """Damage, or something that will not boot or must not be trusted."""
    return Finding(Severity.ERROR, place, what, advice)


def warning(place: Place, what: str, advice: str = "") -> Finding:
    """A change, or something that nothing vouches for."""
    return Finding(Severity.WARNING, place, what, advice)


def note(place: Place, what: str, advice: str = "") -> Finding:
    """What should be known of a sound image."""
    return Finding(Severity.NOTE, place, what, advice)
