"""The benchmark of builds counts what it says it counts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from builds import growth, ours
from builds.measures import Measure, Row
from builds.running import Cost, Failed, Usage, run

BURNT = 0.3
"""CPU seconds, by the clock of the process that burns them."""
BURN = f"import time\nwhile time.process_time() < {BURNT}: pass"


def usage(cpu: float, memory: int = 0, **steps: float) -> Usage:
    return Usage(cpu, cpu, memory, {name: Cost(each, 0) for name, each in steps.items()})


@pytest.mark.parametrize(
    "command",
    [
        [sys.executable, "-c", BURN],
        ["sh", "-c", '"$0" -c "$1"; true', sys.executable, BURN],
        # An orphan that the command waits for without being its parent.
        ["sh", "-c", 'mkfifo "$2"; ("$0" -c "$1" >"$2" &); cat "$2"', sys.executable, BURN, "F"],
    ],
    ids=["itself", "child", "orphan"],
)
def test_cpu_of_all_that_a_command_started_is_counted(tmp_path: Path, command: list[str]) -> None:
    assert run(command, folder=tmp_path).cpu >= BURNT


def test_what_a_command_leaves_behind_is_ended(tmp_path: Path) -> None:
    run(["sh", "-c", "sleep 1000 & echo $! >left"], folder=tmp_path)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "left").read_text()), 0)


def test_memory_is_that_of_the_whole_tree_but_for_tools_that_are_not_ours(tmp_path: Path) -> None:
    size = 100_000_000
    hold = f"import time; held = b'x' * {size}; time.sleep(1)"
    words = ["sh", "-c", '"$0" -c "$1"; true', sys.executable, hold]
    assert run(words).memory > size
    disguised = tmp_path / "apt-get"
    disguised.write_text(f'#!/bin/sh\n"{sys.executable}" -c "{hold}"\ntrue\n')
    disguised.chmod(0o755)
    assert run(["sh", "-c", '"$0"; true', str(disguised)]).memory < size


def test_a_command_that_fails_ends_the_benchmark() -> None:
    with pytest.raises(Failed, match="status 3"):
        run(["sh", "-c", "exit 3"])


def test_a_row_has_medians_of_cpu_and_the_most_of_memory() -> None:
    row = Row("", (usage(1, 5, a=1), usage(9, 3, a=2), usage(2, 4, a=6, b=1)))
    assert (row.cpu, row.memory) == (2, 5)
    assert {name: cost.cpu for name, cost in row.steps().items()} == {"a": 2, "b": 1}


def test_a_limit_may_be_reached_and_not_exceeded() -> None:
    assert Measure("", 0.5, 0.5).within
    assert not Measure("", float("inf"), 0.5).within


def test_every_change_of_the_benchmark_fits_the_description(tmp_path: Path) -> None:
    found = ours.variants(tmp_path)
    contents = {
        name: [p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()]
        for name, folder in found.items()
    }
    assert all(contents[name] != contents[ours.CLEAN] for name in found if name != ours.CLEAN)


def test_the_fill_of_a_tree_is_the_same_each_time_and_as_large_as_asked(tmp_path: Path) -> None:
    for name in ("one", "two"):
        growth.fill(tmp_path / name, 5 * growth.MIB)
    one, two = (sorted((tmp_path / name).rglob("*")) for name in ("one", "two"))
    assert [p.read_bytes() for p in one if p.is_file()] == [
        p.read_bytes() for p in two if p.is_file()
    ]
    assert 4.5 * growth.MIB < growth.size_of(tmp_path / "one") <= 5 * growth.MIB
