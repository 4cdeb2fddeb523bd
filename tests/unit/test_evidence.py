"""A line of evidence says "ok" for what was shown, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import evidence
import language
import main
import pytest
import speed
import storage
from evidence import Row

KNOWN = ["tests/a.py::test_one", "tests/a.py::test_two[x y]", "tests/b.py::test_other"]
ROW = Row(1, "it holds", {"one": "::test_one", "two": "::test_two"})
PASSED = dict.fromkeys(KNOWN, "passed")


def test_a_row_whose_tests_have_all_passed_is_shown() -> None:
    said = evidence.tested(ROW, KNOWN, PASSED)
    assert said.shown
    assert said.text == "2 tests passed in a.py; shown: one, two"
    assert evidence.line(ROW, [said]).endswith(": ok")


@pytest.mark.parametrize("outcome", ["failed", "skipped", None])
def test_a_test_that_did_not_pass_is_named(outcome: str | None) -> None:
    outcomes = {name: was for name, was in PASSED.items() if name != KNOWN[1]}
    if outcome is not None:
        outcomes[KNOWN[1]] = outcome
    said = evidence.tested(ROW, KNOWN, outcomes)
    assert not said.shown
    assert f"test_two[x y] {outcome or 'did not run'}" in said.text
    assert evidence.line(ROW, [said]).endswith(": FAILED")


def test_a_part_that_no_test_shows_is_named() -> None:
    said = evidence.tested(ROW, KNOWN[:1], PASSED)
    assert not said.shown
    assert "no test shows: two" in said.text


@pytest.mark.parametrize(
    ("prints", "status", "shown"),
    [
        ('[{"what": "speed", "value": 2, "unit": "MiB/s", "limit": 1}]', 0, True),
        ('{"measures": [{"name": "speed", "value": 2, "unit": "MiB/s", "limit": 1}]}', 0, True),
        ('[{"what": "speed", "value": 2, "unit": "MiB/s", "limit": 1}]', 1, False),
        ("Traceback", 1, False),
        ("", 0, False),
    ],
)
def test_a_benchmark_shows_what_its_status_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, status: int, shown: bool
) -> None:
    (tmp_path / "benchmarks").mkdir()
    script = f"import sys\nprint({prints!r})\nsys.exit({status})\n"
    (tmp_path / "benchmarks" / "b.py").write_text(script)
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    said = evidence.measured(Row(1, "it is fast", benchmark="b.py"))
    assert said.shown is shown
    assert ("speed 2.00 MiB/s (limit 1)" in said.text) is prints.startswith(("[", "{"))


def test_a_benchmark_is_asked_for_its_sections_and_its_remarks_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "b.py").write_text(
        "import json, sys\n"
        "remarks = [f'{name} is not here' for name in sys.argv[2:]]\n"
        "print(json.dumps({'measures': [], 'remarks': remarks}))\n"
    )
    monkeypatch.setattr(evidence, "ROOT", tmp_path)
    said = evidence.measured(Row(1, "", benchmark="b.py", sections=("one", "two")))
    assert "one is not here; two is not here" in said.text


@pytest.mark.parametrize("rows", [main.ROWS, storage.ROWS, language.ROWS, speed.ROWS])
def test_every_row_has_a_number_of_its_own_and_evidence(rows: tuple[Row, ...]) -> None:
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert all(row.parts or row.benchmark for row in rows)
    for row in rows:
        assert not row.benchmark or (evidence.ROOT / "benchmarks" / row.benchmark).is_file()
