"""What a check gives, how much of the disk it is to look at, and work spread over processors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple, TypeVar

from kiwilite.inspect.findings import Finding
from kiwilite.inspect.regions import Region
from kiwilite.parallel import in_parallel

Job = TypeVar("Job")
Answer = TypeVar("Answer")

_WORTH_A_PROCESS: Final = 32 << 20


class Checked(NamedTuple):
    """Findings, and the bytes a check answers for."""

    findings: tuple[Finding, ...] = ()
    claims: tuple[Region, ...] = ()


def joined(parts: Iterable[Checked]) -> Checked:
    """All of them as one."""
    every = list(parts)
    return Checked(
        tuple(f for part in every for f in part.findings),
        tuple(c for part in every for c in part.claims),
    )


@dataclass(frozen=True, slots=True)
class Scope:
    """Bytes `start` up to `end` of the disk: work that reads much leaves out all others.

    What is cheap is always done. For who knows what has changed, and for tests.
    """

    start: int
    end: int

    def touches(self, start: int, end: int) -> bool:
        """Whether work on these bytes is wanted."""
        return start < self.end and self.start < end


def spread(work: Callable[[Job], Answer], jobs: Sequence[Job], size: int) -> list[Answer]:
    """The answers in order; `size` bytes to read in all decide whether processes pay."""
    workers = None if size >= _WORTH_A_PROCESS and len(jobs) > 1 else 1
    return list(in_parallel(work, jobs, workers=workers))


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as ranges (first, behind the last)."""
    found = []
    for _, group in groupby(enumerate(numbers), key=lambda item: item[1] - item[0]):
        members = [number for _, number in group]
        found.append((members[0], members[-1] + 1))
    return found
