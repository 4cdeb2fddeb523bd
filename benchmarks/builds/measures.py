"""Numbers with limits, and tables of what was measured several times."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builds.running import Cost, Usage

MB = 10**6


@dataclass(frozen=True, slots=True)
class Measure:
    """One number, in `unit`, and the most it may be."""

    name: str
    value: float
    limit: float
    unit: str = ""

    @property
    def within(self) -> bool:
        return self.value <= self.limit

    def line(self) -> str:
        verdict = "ok" if self.within else "OVER"
        return f"{self.name:<58}{self.value:9.3f} {self.unit:<3} limit {self.limit:7.3f}  {verdict}"


def said(what: str, usage: Usage) -> Usage:
    """The usage, once it is shown on standard error: all of it takes an hour or two."""
    print(f"{what}: {usage.cpu:.2f} s CPU, {usage.wall:.2f} s wall", file=sys.stderr, flush=True)
    return usage


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: the same thing done one or more times."""

    name: str
    usages: tuple[Usage, ...]

    @property
    def cpu(self) -> float:
        """Median, in seconds."""
        return statistics.median(u.cpu for u in self.usages)

    @property
    def wall(self) -> float:
        """Median, in seconds."""
        return statistics.median(u.wall for u in self.usages)

    @property
    def memory(self) -> int:
        """The most of all runs, in bytes."""
        return max(u.memory for u in self.usages)

    def steps(self) -> dict[str, Cost]:
        """Medians by step, of the runs that had it."""
        found: dict[str, list[Cost]] = defaultdict(list)
        for usage in self.usages:
            for name, cost in usage.steps.items():
                found[name].append(cost)
        return {
            name: Cost(statistics.median(c.cpu for c in costs), max(c.memory for c in costs))
            for name, costs in found.items()
        }


def table(title: str, rows: Sequence[Row]) -> str:
    """Rows as text: medians, and the number of runs."""
    head = f"{title:<54}{'CPU s':>8}{'wall s':>9}{'peak MB':>9}  runs"
    lines = [
        f"  {row.name:<52}{row.cpu:8.2f}{row.wall:9.2f}{row.memory / MB:9.0f}{len(row.usages):6}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def steps_table(row: Row) -> str:
    """The steps of a build as text, and what is left of the whole."""
    costs = row.steps()
    lines = [
        f"    {name:<50.50}{cost.cpu:8.2f}{'':9}{cost.memory / MB:9.0f}"
        for name, cost in costs.items()
    ]
    rest = row.cpu - sum(cost.cpu for cost in costs.values())
    lines.append(f"    {'all else: planning, checking, publishing':<50}{rest:8.2f}")
    return "\n".join(lines)


def as_data(row: Row) -> Mapping[str, object]:
    """A row for programs."""
    return {
        "name": row.name,
        "cpu_seconds": row.cpu,
        "wall_seconds": row.wall,
        "peak_bytes": row.memory,
        "runs": len(row.usages),
        "steps": {
            name: {"cpu_seconds": cost.cpu, "peak_bytes": cost.memory}
            for name, cost in row.steps().items()
        },
    }
