"""Lines of evidence: claims, the tests that show them, and what benchmarks measure.

A row is a claim with its parts. Each part is shown by the tests whose names match; a part
that no test shows, a test that fails and a test that is skipped all mean that the claim is
not shown. What a row has of numbers is shown where its benchmark ends well and within
the limits it has.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Row:
    """A claim; `parts` maps what has to be shown to a pattern of the tests that show it.

    Patterns are searched in `PATH::NAME` of tests. `benchmark` is a program in benchmarks/
    that measures what the claim says in numbers, and `sections` are the parts of it that do.
    With --json it prints them as a list of objects, or as "measures" of an object: `name` or
    `what`, `value`, `unit` and, where there is one, `limit`; its exit status says whether the
    limits are kept. "remarks" of an object say what could not be measured.
    """

    number: int
    claim: str
    parts: Mapping[str, str] = field(default_factory=dict)
    benchmark: str = ""
    sections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about a row, and whether that shows it."""

    text: str
    shown: bool


@dataclass(slots=True)
class Outcomes:
    """A pytest plugin that keeps the worst outcome of each test."""

    found: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self.found.get(report.nodeid)
        if report.outcome != "passed" or (known is None and report.when == "call"):
            self.found[report.nodeid] = report.outcome if known != "failed" else known


def show(description: str, rows: Sequence[Row]) -> int:
    """The program: run what shows the rows asked for and print a line for each."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--list", action="store_true", help="say what would be run")
    parser.add_argument("rows", metavar="ROW", nargs="*", type=int, help="only these")
    options = parser.parse_args()
    asked = [row for row in rows if not options.rows or row.number in options.rows]
    known = collect() if any(row.parts for row in asked) else []
    if options.list:
        list_all(asked, known)
        return 0
    begun = time.monotonic()
    # Before the tests: ext4 takes long to make files for minutes after others were removed.
    measures = {row.number: measured(row) for row in asked}
    outcomes = run_tests(sorted({test for row in asked for test in chosen(row, known)}))
    said = {row.number: [tested(row, known, outcomes), measures[row.number]] for row in asked}
    print(f"\n== What it shows ({time.monotonic() - begun:.0f} s) ==")
    for row in asked:
        print(line(row, said[row.number]))
    return 0 if all(each.shown for both in said.values() for each in both) else 1


def line(row: Row, said: Sequence[Said]) -> str:
    text = "; ".join(each.text for each in said if each.text)
    verdict = "ok" if all(each.shown for each in said) else "FAILED"
    return f"row {row.number}: {row.claim}: {text}: {verdict}"


def collect() -> list[str]:
    """The names of all tests."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def matching(pattern: str, known: Iterable[str]) -> list[str]:
    return [test for test in known if re.search(pattern, test)]


def chosen(row: Row, known: Sequence[str]) -> list[str]:
    return [test for pattern in row.parts.values() for test in matching(pattern, known)]


def list_all(rows: Iterable[Row], known: Sequence[str]) -> None:
    for row in rows:
        print(f"row {row.number}: {row.claim}")
        for part, pattern in row.parts.items():
            print(f"  {part}:")
            for test in matching(pattern, known) or ["no test"]:
                print(f"    {test}")
        if row.benchmark:
            print(f"  measured by {' '.join((row.benchmark, *row.sections))}")


def run_tests(tests: Sequence[str]) -> dict[str, str]:
    """Outcome by name; two at a time, tests of one file together as they share machines."""
    outcomes = Outcomes()
    if tests:
        options = ["-q", "-n", "2", "--dist", "loadfile", "--rootdir", str(ROOT)]
        pytest.main([*options, *(f"{ROOT}/{test}" for test in tests)], plugins=[outcomes])
    return outcomes.found


def tested(row: Row, known: Sequence[str], outcomes: Mapping[str, str]) -> Said:
    """What the tests of a row have shown."""
    if not row.parts:
        return Said("", shown=True)
    mine = set(chosen(row, known))
    passed = [test for test in mine if outcomes.get(test) == "passed"]
    wrong = [f"{short(t)} {outcomes.get(t, 'did not run')}" for t in sorted(mine - set(passed))]
    wrong += [f"no test shows: {p}" for p, x in row.parts.items() if not matching(x, known)]
    files = sorted({test.split("::")[0].removeprefix("tests/") for test in passed})
    said = f"{len(passed)} tests passed in {', '.join(files) or 'no file'}"
    said += f"; shown: {', '.join(row.parts)}" if not wrong else f"; {'; '.join(wrong)}"
    return Said(said, shown=not wrong)


def short(test: str) -> str:
    return test.split("::", 1)[1]


def measured(row: Row) -> Said:
    """What the benchmark of a row says."""
    if not row.benchmark:
        return Said("", shown=True)
    command = [sys.executable, str(ROOT / "benchmarks" / row.benchmark), "--json", *row.sections]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return Said(f"no numbers: {done.stderr.strip()[-300:]}", shown=False)
    whole = found if isinstance(found, dict) else {"measures": found}
    said = [", ".join(map(number, whole["measures"])), *whole.get("remarks", ())]
    return Said("; ".join(said), shown=done.returncode == 0)


def number(measure: Mapping[str, object]) -> str:
    """A measure in words."""
    said = f"{measure.get('name') or measure.get('what')} {measure['value']:.2f} {measure['unit']}"
    limit = measure.get("limit")
    return said.strip() if limit is None else f"{said.strip()} (limit {limit:.4g})"
