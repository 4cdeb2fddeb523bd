"""Damages a built image a fault at a time, and asks `image verify` where it is."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from verify_faults import Built, Fault

from kiwilite.inspect.checked import Scope
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.regions import State, state_at
from kiwilite.inspect.source import opened
from kiwilite.inspect.verify import Given, Report, verify


def checked(raw: Path, scope: Scope | None = None) -> Report:
    """The image's report; with a scope, work that reads much is done there only."""
    with opened(raw) as disk:
        return verify(disk, Given(), scope)


def span(report: Report, offset: int, part: str | None = None) -> int | None:
    """Length of the narrowest finding that takes in a byte; None if there is none."""
    places = [
        place
        for finding in report.findings
        if finding.severity is not Severity.NOTE
        for place in (finding.place, *finding.also)
        if place.overlaps(offset, offset + 1) and part in (None, place.part)
    ]
    return min((place.end - place.start for place in places), default=None)


def misplaced(built: Built, faults: Iterable[Fault], *, scoped: bool) -> Iterator[str]:
    """The chosen faults, one at a time: those that are not found where they are."""
    for fault in faults:
        end = fault.offset + len(fault.content or b".")
        before = fault.damage(built.raw)
        try:
            report = checked(built.raw, Scope(fault.offset, end) if scoped else None)
        finally:
            fault.undo(built.raw, before)
        found = span(report, fault.offset, fault.part)
        if found is None or found > fault.span:
            yield f"{fault.name}: placed within {found} bytes, not {fault.span}"


def places(built: Built, count: int, seed: int) -> Iterator[int]:
    """Bytes anywhere, and as many where something was written: most of a disk is empty."""
    chance = random.Random(seed)
    size = built.raw.stat().st_size
    with opened(built.raw) as disk:
        data = list(disk.data(0, size))
    for number in range(count):
        if number % 2:
            yield chance.randrange(size)
        else:
            start, end = chance.choice(data)
            yield chance.randrange(start, end)


def flips(built: Built, good: Report, count: int, seed: int) -> None:
    """Flip one bit at a time; each is found where it is, or lies in unallocated bytes."""
    wrong = []
    for offset in places(built, count, seed):
        fault = Fault("flip", "", offset, 0)
        before = fault.damage(built.raw)
        try:
            report = checked(built.raw, Scope(offset, offset + 1))
        finally:
            fault.undo(built.raw, before)
        allocated = state_at(good.regions, offset) is not State.UNALLOCATED
        if allocated and span(report, offset) is None:
            wrong.append(f"byte {offset}: {report.findings}")
    assert not wrong, "\n".join(wrong)
