"""Edits to a text: some bytes give way to others, all else stays as it is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """The bytes from `start` to `end` become `text`."""

    start: int
    end: int
    text: bytes


def edited(text: bytes, edits: Iterable[Edit]) -> bytes:
    """`text` after `edits`, which do not overlap."""
    parts = []
    at = 0
    for edit in sorted(edits, key=lambda e: e.start):
        assert edit.start >= at, "two edits overlap"
        parts += [text[at : edit.start], edit.text]
        at = edit.end
    return b"".join([*parts, text[at:]])
