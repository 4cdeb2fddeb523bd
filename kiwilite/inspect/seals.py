"""The seal of a disk against what is on it now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from kiwilite.inspect.checked import Scope, spread
from kiwilite.inspect.findings import Finding, Place, error, note
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import Disk
from kiwilite.ondisk import seal
from kiwilite.ondisk.sparse import any_set

PART: Final = "seal"
_BATCH: Final = 128
_SMALL: Final = 4096


@dataclass(frozen=True, slots=True)
class Seal:
    """The seal's parts, none where there is no seal or a damaged one; `end` is its last byte's."""

    parts: tuple[seal.Part, ...]
    end: int
    findings: tuple[Finding, ...]

    @property
    def claims(self) -> tuple[Region, ...]:
        """The record itself."""
        if self.end == seal.OFFSET:
            return ()
        return (Region(seal.OFFSET, self.end, State.CHECKED, PART, "its own digest"),)


def read_seal(disk: Disk, room: int) -> Seal:
    """The seal, if it stands before byte `room`, where the first partition begins."""
    raw = disk.read(seal.OFFSET, max(0, min(seal.MAX_BYTES, room - seal.OFFSET)))
    try:
        parts = seal.unpack(raw)
    except seal.BadSeal as problem:
        if not raw.strip(b"\0"):
            what = "the disk has no seal: changes that no other check covers are not found"
            return Seal((), seal.OFFSET, (note(_place(seal.OFFSET + 1), what),))
        advice = "the checks of other structures hold without it; build or flash the image anew"
        text = raw.rstrip(b"\0")
        found = error(_place(seal.OFFSET + len(text)), problem.message, advice)
        return Seal((), seal.OFFSET + len(text), (found,))
    end = seal.OFFSET + seal.length_of(parts)
    return Seal(parts, end, _order(parts, end))


def _place(end: int) -> Place:
    return Place(PART, seal.OFFSET, end)


def _order(parts: Sequence[seal.Part], end: int) -> tuple[Finding, ...]:
    """Parts of a region must stand side by side, or something would not be covered."""
    for one, next_ in pairwise(parts):
        if one.name == next_.name and one.end != next_.start:
            return (error(_place(end), f"the seal leaves out a part of {one.name}"),)
    return ()


class Mismatch(NamedTuple):
    """Bytes of a region that are not what they were when the disk was made."""

    name: str
    start: int
    end: int


class _Batch(NamedTuple):
    disk: Disk
    parts: tuple[seal.Part, ...]


def _broken(job: _Batch) -> list[seal.Part]:
    def blocks(start: int, end: int) -> Iterable[tuple[int, bytes]]:
        return job.disk.chunks(start, end, seal.BLOCK)

    return [p for p in job.parts if seal.digest(p.start, p.end, blocks) != p.digest]


def compare(
    disk: Disk, sealed: Seal, strong: Iterable[Region], scope: Scope
) -> tuple[list[Mismatch], list[Region]]:
    """What has changed, and the claims of what has not.

    Parts that lie in `strong` regions are left out: a stronger check has read them.
    """
    covered = _united(strong)
    parts = [
        p for p in sealed.parts
        if p.end <= disk.size and scope.touches(p.start, p.end) and not _within(p, covered)
    ]  # fmt: skip
    # Long parts are zeros, mostly: a batch is as many parts as are worth a message.
    jobs = [_Batch(disk, tuple(parts[n : n + _BATCH])) for n in range(0, len(parts), _BATCH)]
    size = sum(p.length for p in parts if p.digest != seal.NOTHING)
    broken = [p for answer in spread(_broken, jobs, size) for p in answer]
    changes = [m for part in broken for m in _placed(disk, part)]
    found: list[Mismatch] = []
    for one in changes:
        if found and found[-1].name == one.name and found[-1].end == one.start:
            found[-1] = found[-1]._replace(end=one.end)
        else:
            found.append(one)
    bad = set(broken)
    good = [(p.name, p.start, p.end) for p in parts if p not in bad]
    good += [row for part in broken for row in _unchanged(part, changes)]
    return found, [Region(start, end, State.CHECKED, name, "seal") for name, start, end in good]


def _unchanged(part: seal.Part, changes: Iterable[Mismatch]) -> Iterator[tuple[str, int, int]]:
    """What lies in a part between its changes."""
    at = part.start
    for change in changes:
        if part.start <= change.start < part.end:
            yield part.name, at, change.start
            at = change.end
    yield part.name, at, part.end


def _placed(disk: Disk, part: seal.Part) -> Iterator[Mismatch]:
    """Where in a part the change is: in one that was zeros it is all that is none now."""
    if part.digest != seal.NOTHING:
        yield Mismatch(part.name, part.start, part.end)
        return
    for at, chunk in disk.chunks(part.start, part.end, _SMALL):
        if any_set(chunk):
            yield Mismatch(part.name, at, at + len(chunk))


def _united(regions: Iterable[Region]) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    for start, end in sorted((r.start, r.end) for r in regions):
        if rows and start <= rows[-1][1]:
            rows[-1] = rows[-1][0], max(end, rows[-1][1])
        else:
            rows.append((start, end))
    return rows


def _within(part: seal.Part, covered: Sequence[tuple[int, int]]) -> bool:
    return any(a <= part.start and part.end <= b for a, b in covered)
