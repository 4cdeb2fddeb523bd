"""What is missing is made, in order and side by side; a failure leaves nothing half-written."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from fake_build import Recorder, node, result, runs, site_of_fakes

from kiwilite.build.executor import Site, execute, missing, with_keys
from kiwilite.errors import NoSpace, StageFailed
from kiwilite.ondisk.gpt import BadGpt
from kiwilite.plan.nodes import Node


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site_of_fakes(tmp_path, monkeypatch)


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    folder = tmp_path / "diary"
    folder.mkdir()
    return folder


def nothing_half_written(site: Site) -> bool:
    return not list(site.store.work.iterdir()) and not list(site.store.root.rglob("half"))


def test_inputs_are_made_before_what_reads_them(site: Site, diary: Path) -> None:
    nodes = [node(diary, "a"), node(diary, "b", "write", "a"), node(diary, "c", "write", "b", "a")]
    keyed, watcher = with_keys(nodes, site), Recorder()
    execute(keyed, ["c"], site, watcher)
    assert result(keyed, site, "c") == "abac"
    assert watcher.begun == watcher.ended == ["a", "b", "c"]
    assert nothing_half_written(site)


def test_a_result_is_only_the_result_its_log_and_what_was_noted(site: Site, diary: Path) -> None:
    keyed = with_keys([node(diary, "a")], site)
    execute(keyed, ["a"], site, Recorder())
    entry = keyed.output(site.store, "a").parent
    assert sorted(p.name for p in entry.iterdir()) == ["about.json", "log", "manifest", "out"]
    assert site.store.about(keyed.keys["a"])["step"] == "a"


def test_files_are_there_to_be_read_before_they_are_kept(site: Site, diary: Path) -> None:
    class Reader(Recorder):
        said: tuple[bool, IO[str]]

        def written(self, node: Node, out: Path) -> None:
            self.said = keyed.output(site.store, "a").exists(), (out / "result").open()

    keyed, reader = with_keys([node(diary, "a")], site), Reader()
    execute(keyed, ["a"], site, reader)
    kept, stream = reader.said
    assert not kept
    with stream:
        assert stream.read() == result(keyed, site, "a")


def test_what_nobody_wants_is_not_made(site: Site, diary: Path) -> None:
    keyed = with_keys([node(diary, "a"), node(diary, "b")], site)
    execute(keyed, ["a"], site, Recorder())
    assert (runs(diary, "a"), runs(diary, "b")) == (1, 0)


def test_a_second_time_there_is_nothing_to_do(site: Site, diary: Path) -> None:
    keyed = with_keys([node(diary, "a"), node(diary, "b", "write", "a")], site)
    execute(keyed, ["b"], site, Recorder())
    watcher = Recorder()
    execute(keyed, ["b"], site, watcher)
    assert watcher.begun == []
    assert missing(keyed, ["b"], site.store) == ()
    assert (runs(diary, "a"), runs(diary, "b")) == (1, 1)


def test_with_the_last_result_there_its_inputs_may_be_gone(site: Site, diary: Path) -> None:
    keyed = with_keys([node(diary, "a"), node(diary, "b", "write", "a")], site)
    execute(keyed, ["b"], site, Recorder())
    keyed.output(site.store, "a").rename(site.store.root / "gone")
    assert missing(keyed, ["b"], site.store) == ()
    assert [n.name for n in missing(keyed, ["a", "b"], site.store)] == ["a"]


def test_independent_steps_run_side_by_side(site: Site, diary: Path) -> None:
    nodes = [node(diary, "a", "meet"), node(diary, "b", "meet"), node(diary, "c", "write", "a")]
    keyed = with_keys(nodes, site)
    execute(keyed, ["b", "c"], site, Recorder())
    assert result(keyed, site, "c") == "ac"


def test_a_failure_is_raised_as_it_was_and_keeps_what_was_done(site: Site, diary: Path) -> None:
    nodes = [node(diary, "a"), node(diary, "b", "fail", "a"), node(diary, "c", "write", "b")]
    keyed = with_keys(nodes, site)
    with pytest.raises(StageFailed) as caught:
        execute(keyed, ["c"], site, Recorder())
    assert caught.value.message == "it went wrong"
    assert caught.value.where == "step b"
    assert caught.value.hint == "try harder"
    assert result(keyed, site, "a") == "a"
    assert site.store.find(keyed.keys["b"]) is None
    assert runs(diary, "c") == 0
    assert nothing_half_written(site)


def test_a_failure_with_its_own_constructor_is_raised_as_it_was(site: Site, diary: Path) -> None:
    keyed = with_keys([node(diary, "a", "bad table")], site)
    with pytest.raises(BadGpt, match="entry 3: lies outside") as caught:
        execute(keyed, ["a"], site, Recorder())
    assert caught.value.field == "entry 3"
    assert caught.value.where == "step a"
    assert str(site.store.root / "logs/a.log") in (caught.value.hint or "")


def test_after_a_failure_the_next_run_goes_on_where_it_stopped(site: Site, diary: Path) -> None:
    broken = with_keys([node(diary, "a"), node(diary, "b", "fail", "a")], site)
    with pytest.raises(StageFailed):
        execute(broken, ["b"], site, Recorder())
    mended = with_keys([node(diary, "a"), node(diary, "b", "write", "a")], site)
    watcher = Recorder()
    execute(mended, ["b"], site, watcher)
    assert watcher.begun == ["b"]
    assert runs(diary, "a") == 1


def test_a_defect_of_ours_shows_its_last_words_and_where_the_log_is(
    site: Site, diary: Path
) -> None:
    keyed = with_keys([node(diary, "a", "crash")], site)
    with pytest.raises(StageFailed) as caught:
        execute(keyed, ["a"], site, Recorder())
    assert "a defect of ours" in caught.value.message
    log = site.store.root / "logs/a.log"
    assert str(log) in (caught.value.hint or "")
    assert "a defect of ours" in log.read_text()
    assert nothing_half_written(site)


def test_a_full_disk_in_a_step_is_no_space(site: Site, diary: Path) -> None:
    keyed = with_keys([node(diary, "a", "full")], site)
    with pytest.raises(NoSpace) as caught:
        execute(keyed, ["a"], site, Recorder())
    assert str(site.store.root) in caught.value.message
    assert caught.value.where == "step a"
    assert nothing_half_written(site)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def is_running(pid: int) -> bool:
    """A killed process may be a zombie for a moment."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let Control-C interrupt: who runs the tests in the background has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt_when(condition: Callable[[], bool]) -> threading.Thread:
    def interrupt() -> None:
        wait_for(condition)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    return thread


@pytest.mark.usefixtures("interruptible")
def test_control_c_ends_steps_and_their_tools_at_once(site: Site, diary: Path) -> None:
    nodes = [node(diary, "a", "hang"), node(diary, "b", "write", "a")]
    keyed = with_keys(nodes, site)
    tool = diary / "tool"
    thread = interrupt_when(lambda: tool.exists() and bool(tool.read_text().strip()))
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        execute(keyed, ["b"], site, Recorder())
    thread.join()
    assert time.monotonic() - begun < 50
    pids = [int(tool.read_text())]
    pids += [int(p.suffix[1:]) for p in diary.glob("a.*")]
    assert len(pids) == 2
    wait_for(lambda: not any(is_running(pid) for pid in pids))
    assert runs(diary, "b") == 0
    assert nothing_half_written(site)


@pytest.mark.usefixtures("interruptible")
def test_after_control_c_the_next_run_works(site: Site, diary: Path) -> None:
    hanging = with_keys([node(diary, "a", "hang")], site)
    thread = interrupt_when((diary / "tool").exists)
    with pytest.raises(KeyboardInterrupt):
        execute(hanging, ["a"], site, Recorder())
    thread.join()
    keyed = with_keys([node(diary, "a")], site)
    execute(keyed, ["a"], site, Recorder())
    assert result(keyed, site, "a") == "a"


def test_of_builds_at_once_one_makes_the_result_and_the_others_say_that_they_wait(
    site: Site, diary: Path
) -> None:
    keyed = with_keys([node(diary, "a"), node(diary, "b", "write", "a")], site)
    watchers = [Recorder() for _ in range(3)]
    threads = [
        threading.Thread(target=execute, args=(keyed, ["b"], site, watcher)) for watcher in watchers
    ]
    with site.store.lock(keyed.keys["a"]):
        for thread in threads:
            thread.start()
        wait_for(lambda: all(watcher.waited == ["a"] for watcher in watchers))
    for thread in threads:
        thread.join()
    assert (runs(diary, "a"), runs(diary, "b")) == (1, 1)
    assert sorted([*watchers[0].ended, *watchers[1].ended, *watchers[2].ended]) == ["a", "b"]
    assert all(sorted(watcher.ended + watcher.from_others) == ["a", "b"] for watcher in watchers)
    assert result(keyed, site, "b") == "ab"
