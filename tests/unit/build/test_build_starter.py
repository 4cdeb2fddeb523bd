"""Processes of a build: what they are given, how their end is told, and with whom they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kiwilite.build.job import BASE_ENVIRONMENT
from kiwilite.build.starter import Call, Standby, Started, Starter, serving

HERE = __name__


def main(words: Sequence[str], fds: Sequence[int]) -> int:
    """What the tests have started."""
    what, *rest = words
    if what == "status":
        return int(rest[0])
    if what == "crash":
        raise ValueError("as it should")
    if what == "print":
        print(sorted(os.environ))
        return 0
    if what == "loaded":
        return int(rest[0] in sys.modules)
    if what == "descriptors":
        print(sorted(int(p.name) for p in Path("/proc/self/fd").iterdir())[:-1])
        for fd in fds:
            os.write(fd, b"written")
        return 0
    Path(rest[0]).write_text(str(os.getpid()))
    time.sleep(600)
    return 0


@pytest.fixture
def starter() -> Iterator[Starter]:
    with serving() as starter:
        yield starter


def started(starter: Starter, log: Path, *words: str, fds: Sequence[int] = ()) -> Started:
    with log.open("ab") as stream:
        return starter.start(Call(HERE, words), log=stream.fileno(), fds=fds)


def is_alive(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}/stat").read_text()).rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def demand_ended(pid: int) -> None:
    end = time.monotonic() + 30
    while is_alive(pid):
        assert time.monotonic() < end, f"{pid} lives on"
        time.sleep(0.01)


@pytest.mark.parametrize("status", [0, 3, 125])
def test_the_status_is_what_the_function_returns(
    starter: Starter, tmp_path: Path, status: int
) -> None:
    child = started(starter, tmp_path / "log", "status", str(status))
    assert child.poll() is None
    assert child.wait() == child.wait() == child.poll() == status


def test_a_crash_is_in_the_log(starter: Starter, tmp_path: Path) -> None:
    assert started(starter, tmp_path / "log", "crash").wait() == 1
    assert "ValueError: as it should" in (tmp_path / "log").read_text()
    assert started(starter, tmp_path / "log", "status", "0").wait() == 0


def test_a_module_that_is_not_there_is_a_crash_of_its_own(starter: Starter, tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        assert starter.start(Call("no_such_module"), log=log.fileno()).wait() == 1
    assert "No module named 'no_such_module'" in (tmp_path / "log").read_text()


def test_it_has_the_environment_of_builds(
    starter: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIWILITE_TEST", "1")
    started(starter, tmp_path / "log", "print").wait()
    assert (tmp_path / "log").read_text() == f"{sorted([*BASE_ENVIRONMENT, 'PYTHONPATH'])}\n"


def test_it_has_the_descriptors_it_is_given_and_no_others(starter: Starter, tmp_path: Path) -> None:
    sleeper = started(starter, tmp_path / "log", "sleep", str(tmp_path / "pid"))
    read, write = os.pipe()
    child = started(starter, tmp_path / "log", "descriptors", fds=[write])
    os.close(write)
    assert child.wait() == 0
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b"written"
    numbers = (tmp_path / "log").read_text()
    assert numbers.startswith("[0, 1, 2, ")
    assert numbers.count(",") == 3
    sleeper.kill()
    assert sleeper.wait() == -signal.SIGKILL


def test_many_at_once_each_have_their_own_status(starter: Starter, tmp_path: Path) -> None:
    found: dict[int, int] = {}

    def one(number: int) -> None:
        found[number] = started(starter, tmp_path / "log", "status", str(number)).wait()

    threads = [threading.Thread(target=one, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: n for n in range(40)}


SELDOM = "kiwilite.ondisk.grub_menu"
"""A module that no process here has loaded by itself."""


def children() -> set[int]:
    here = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    return set(map(int, here.read_text().split()))


def test_one_that_was_made_ready_has_loaded_what_it_was_told_to(tmp_path: Path) -> None:
    standby = Standby()
    standby.prepare((SELDOM, "no_such_module"))
    ready = children()
    with standby.serving() as starter:
        # It does so while nothing is asked of it.
        calls = (started(starter, tmp_path / "log", "loaded", SELDOM) for _ in range(1000))
        assert any(call.wait() == 1 for call in calls)
        assert children() == ready
    with standby.serving() as starter:
        assert started(starter, tmp_path / "log", "loaded", SELDOM).wait() == 0
    standby.close()
    assert not children() & ready


def test_one_that_nobody_needed_is_ended() -> None:
    standby, before = Standby(), children()
    standby.prepare(())
    standby.prepare(())
    assert len(children() - before) == 1
    standby.close()
    standby.close()
    assert children() == before


def test_they_end_with_the_block(tmp_path: Path) -> None:
    with serving() as starter:
        child = started(starter, tmp_path / "log", "sleep", str(tmp_path / "pid"))
        assert is_alive(child.pid)
    assert child.wait() == -signal.SIGKILL
    demand_ended(child.pid)


def test_where_the_starter_is_killed_so_is_what_it_started(
    starter: Starter, tmp_path: Path
) -> None:
    child = started(starter, tmp_path / "log", "sleep", str(tmp_path / "pid"))
    stat = Path(f"/proc/{child.pid}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    demand_ended(child.pid)
    late = started(starter, tmp_path / "log", "status", "0")
    assert late.wait() == -signal.SIGKILL


BUILD = """
import sys, time
from kiwilite.build.starter import Call, serving
with serving() as starter, open(sys.argv[1], "ab") as log:
    call = Call(sys.argv[2], ("sleep", sys.argv[1]))
    print(starter.start(call, log=log.fileno()).pid, flush=True)
    time.sleep(600)
"""


def test_they_end_with_a_build_that_is_killed(tmp_path: Path) -> None:
    ways = os.pathsep.join(path for path in sys.path if path)
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, str(tmp_path / "file"), HERE],
        env={**os.environ, "PYTHONPATH": ways},
        stdout=subprocess.PIPE,
        text=True,
    ) as build:
        assert build.stdout is not None
        pid = int(build.stdout.readline())
        assert is_alive(pid)
        build.kill()
    demand_ended(pid)
