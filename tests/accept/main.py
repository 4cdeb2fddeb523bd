"""Show that the reference image is what it claims to be: a line of evidence for each claim.

    python tests/accept/main.py [--list] [ROW]...

A row is a claim with its parts. Each part is shown by the tests whose names match; a part
that no test shows, a test that fails and a test that is skipped all mean that the claim is
not shown. The last row is measured by `benchmarks/build_speed.py`. Exit status 1 unless
every row that was asked for is shown.
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
MACHINES = "tests/vm/test_reference_image.py"


@dataclass(frozen=True, slots=True)
class Row:
    """A claim; `parts` maps what has to be shown to a pattern of the tests that show it.

    Patterns are searched in `PATH::NAME` of tests.
    """

    number: int
    claim: str
    parts: Mapping[str, str]


ROWS = (
    Row(
        1,
        "the image boots to a verified root under an encrypted overlay",
        {
            "first boot": f"{MACHINES}::.*first_boot",
            "second boot": f"{MACHINES}::.*(second_boot|survive|kept)",
            "overlay": f"{MACHINES}::.*overlay",
            "verity": f"{MACHINES}::.*(verity|verified)",
            "LUKS2 aegis128 AEAD": f"{MACHINES}::.*(luks|encrypted|aegis)",
            "dm-integrity": f"{MACHINES}::.*integrity",
            "partitions": f"{MACHINES}::.*(home|partition)",
            "sysctl": f"{MACHINES}::.*(sysctl|kernel_setting|settings)",
            "/etc survives": f"{MACHINES}::.*(survive|kept)",
        },
    ),
    Row(
        2,
        "a changed bit is an I/O error and never wrong data",
        {
            "verified root": f"{MACHINES}::.*byte",
            "overlay": f"{MACHINES}::.*(bit|tag|ciphertext)",
            "wrong root hash": r"tests/vm/.*wrong_root_hash",
        },
    ),
    Row(
        3,
        "factory reset through the firmware destroys the key and what was written",
        {"reset": f"{MACHINES}::.*reset"},
    ),
    Row(
        4,
        "bad input gives one message, a status and nothing half-written",
        {
            "misspelt element": "misspelt|misspelled|unknown_element",
            "misspelt attribute": "attribute",
            "mismatched tag": "mismatched|not_well_formed|well_formed|tag",
            "unknown profile": "unknown_profile|profile_that_does_not_exist|there_is_no_profile",
            "missing script": "script",
            "missing tool": "missing_tool|tool_that_is_missing|tool_is_missing|tool",
            "no user namespaces": "namespace",
            "full disk": "full|no_space",
            "unreachable repository": "unreach|cannot_be_reached|repository",
            "interrupted download": "interrupt",
        },
    ),
    Row(
        5,
        "an ordinary user and root make the same image",
        {"same bytes": "ordinary_user|byte_for_byte|same_bytes|same_image"},
    ),
)

MEASURED = Row(6, "a build is fast and small", {})


@dataclass(slots=True)
class Outcomes:
    """A pytest plugin that keeps the worst outcome of each test."""

    found: dict[str, str] = field(default_factory=dict)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        known = self.found.get(report.nodeid)
        if report.outcome != "passed" or (known is None and report.when == "call"):
            self.found[report.nodeid] = report.outcome if known != "failed" else known


def main() -> int:
    parser = argparse.ArgumentParser(description="Show the claims about the reference image.")
    parser.add_argument("--list", action="store_true", help="say which tests would be run")
    parser.add_argument("rows", metavar="ROW", nargs="*", type=int, help="only these")
    options = parser.parse_args()
    rows = [r for r in ROWS if not options.rows or r.number in options.rows]
    known = collect() if rows else []
    if options.list:
        list_tests(rows, known)
        return 0
    begun = time.monotonic()
    outcomes = run_tests(sorted({t for row in rows for t in chosen(row, known)}))
    lines = [evidence(row, known, outcomes) for row in rows]
    if not options.rows or MEASURED.number in options.rows:
        lines.append(benchmark())
    print(f"\n== What it shows ({time.monotonic() - begun:.0f} s) ==")
    for line, _ in lines:
        print(line)
    return 0 if all(shown for _, shown in lines) else 1


def collect() -> list[str]:
    """The names of all tests but those of long runs."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not soak"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
    return [line for line in done.stdout.splitlines() if "::" in line]


def matching(pattern: str, known: Iterable[str]) -> list[str]:
    return [test for test in known if re.search(pattern, test)]


def chosen(row: Row, known: Sequence[str]) -> list[str]:
    return [test for pattern in row.parts.values() for test in matching(pattern, known)]


def list_tests(rows: Iterable[Row], known: Sequence[str]) -> None:
    for row in rows:
        print(f"row {row.number}: {row.claim}")
        for part, pattern in row.parts.items():
            print(f"  {part}:")
            for test in matching(pattern, known) or ["no test"]:
                print(f"    {test}")


def run_tests(tests: Sequence[str]) -> dict[str, str]:
    """Outcome by name; two at a time, tests of one file together as they share machines."""
    outcomes = Outcomes()
    if tests:
        options = ["-q", "-n", "2", "--dist", "loadfile", "--rootdir", str(ROOT)]
        pytest.main([*options, *(str(ROOT / test) for test in tests)], plugins=[outcomes])
    return outcomes.found


def evidence(row: Row, known: Sequence[str], outcomes: Mapping[str, str]) -> tuple[str, bool]:
    """The line for a row, and whether it is shown."""
    mine = set(chosen(row, known))
    passed = [test for test in mine if outcomes.get(test) == "passed"]
    wrong = [f"{short(t)} {outcomes.get(t, 'did not run')}" for t in sorted(mine - set(passed))]
    wrong += [f"no test shows: {p}" for p, x in row.parts.items() if not matching(x, known)]
    files = sorted({test.split("::")[0].removeprefix("tests/") for test in passed})
    said = f"{len(passed)} tests passed in {', '.join(files) or 'no file'}"
    said += f"; shown: {', '.join(row.parts)}" if not wrong else f"; {'; '.join(wrong)}"
    return sentence(row, said, shown=not wrong), not wrong


def short(test: str) -> str:
    return test.split("::", 1)[1]


def sentence(row: Row, said: str, *, shown: bool) -> str:
    return f"row {row.number}: {row.claim}: {said}: {'ok' if shown else 'FAILED'}"


def benchmark() -> tuple[str, bool]:
    """The line for what is measured."""
    command = [sys.executable, str(ROOT / "benchmarks" / "build_speed.py"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        measures = json.loads(done.stdout)["measures"]
    except ValueError:
        return sentence(MEASURED, f"no numbers: {done.stderr.strip()[-300:]}", shown=False), False
    said = ", ".join(
        f"{m['name']} {m['value']:.2f} {m['unit']} (limit {m['limit']:g})" for m in measures
    )
    shown = done.returncode == 0 and all(m["within"] for m in measures)
    return sentence(MEASURED, said, shown=shown), shown


if __name__ == "__main__":
    sys.exit(main())
