"""Work on several processors: in order, and never beyond the end of who wants it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk.integrity import BadIntegritySuperblock
from kiwilite.parallel import WorkerEnded, in_parallel, processors


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_results_come_in_the_order_of_the_items(items: list[int], workers: int) -> None:
    assert list(in_parallel(lambda n: n * 2, items, workers=workers)) == [n * 2 for n in items]


def test_the_work_is_done_in_other_processes() -> None:
    seen = set(in_parallel(lambda _: os.getpid(), range(6), workers=3))
    assert len(seen) == 3
    assert os.getpid() not in seen


def test_there_is_a_worker_for_each_processor_up_to_a_limit() -> None:
    assert 1 <= processors() <= 8


def test_an_error_arrives_as_it_was_raised() -> None:
    def fail(number: int) -> int:
        if number == 3:
            raise BadIntegritySuperblock("version", "9 is not possible")
        return number

    results = in_parallel(fail, range(10), workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BadIntegritySuperblock, match="version: 9") as caught:
        next(results)
    assert caught.value.field == "version"


def test_an_error_of_the_system_keeps_its_number() -> None:
    def fail(_: int) -> None:
        Path("/nowhere/at/all").read_bytes()

    with pytest.raises(FileNotFoundError) as caught:
        list(in_parallel(fail, range(2), workers=2))
    assert caught.value.errno == 2


def test_a_killed_worker_is_an_error_and_not_a_silence() -> None:
    def end(number: int) -> int:
        if number == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    with pytest.raises(WorkerEnded):
        list(in_parallel(end, range(10), workers=2))


def test_results_that_nobody_takes_hold_the_workers_back() -> None:
    def items() -> Iterator[int]:
        yield from range(1_000_000)

    begun = time.process_time()
    results = in_parallel(lambda n: bytes(1 << 20), items(), workers=2)
    assert len(next(results)) == 1 << 20
    results.close()  # type: ignore[attr-defined]
    assert time.process_time() - begun < 30


PARENT = """
import os, sys, time
from kiwilite.parallel import in_parallel
def work(n):
    time.sleep(600)
print(os.getpid(), flush=True)
list(in_parallel(work, range(4), workers=2))
"""


def children_of(pid: int) -> list[int]:
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_workers_end_with_their_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    deadline = time.monotonic() + 60
    while len(children := children_of(parent.pid)) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    while any(_alive(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
