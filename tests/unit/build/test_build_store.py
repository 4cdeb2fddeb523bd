"""A result is whole or not there; one build at a time makes it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from kiwilite.build import children, manifest
from kiwilite.build.store import Store, default_store, remove_tree
from kiwilite.errors import HostError

KEY, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    children.begin()
    found = Store(tmp_path / "store")
    found.create()
    return found


def keep(store: Store, key: str, text: str = "done") -> Path:
    """Make an entry; its folder."""
    with store.making(key) as folder:
        (folder / "out/result").write_text(text)
        manifest.write(folder)
        store.keep(folder, key, {})
    return store.entries / key


def test_what_is_kept_is_found_with_what_was_noted(store: Store) -> None:
    with store.making(KEY) as folder:
        (folder / "out/result").write_text("done")
        assert store.find(KEY) is None
        manifest.write(folder)
        store.keep(folder, KEY, {"seconds": 1.5})
    assert store.find(KEY) == store.output(KEY)
    assert (store.output(KEY) / "result").read_text() == "done"
    assert store.about(KEY)["seconds"] == 1.5
    assert list(store.work.iterdir()) == []


def test_what_is_not_kept_leaves_nothing(store: Store) -> None:
    with pytest.raises(RuntimeError), store.making(KEY) as folder:
        (folder / "out/half").write_text("half")
        raise RuntimeError
    assert store.find(KEY) is None
    assert list(store.work.iterdir()) == []
    assert store.about(KEY) == {}


def test_a_result_takes_the_place_of_a_broken_one(store: Store) -> None:
    (store.entries / KEY).mkdir()
    assert store.find(KEY) is None
    keep(store, KEY)
    assert store.find(KEY) is not None


def ended_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_a_sweep_takes_what_killed_builds_left_and_nothing_else(store: Store) -> None:
    left = store.work / f"{KEY[:16]}.{ended_pid()}.x"
    (left / "out/deep").mkdir(parents=True)
    (left / "out/deep/file").write_text("half")
    with store.making(OTHER) as folder:
        store.sweep()
        assert folder.is_dir()
    assert not left.exists()


def test_folders_nobody_may_enter_are_removed_too(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "closed").mkdir(parents=True)
    (folder / "closed/file").touch()
    (folder / "closed").chmod(0)
    remove_tree(folder)
    assert not folder.exists()


HOLD = """
import sys, time
from pathlib import Path
from kiwilite.build.store import Store
with Store(Path(sys.argv[1])).lock(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(store: Store, key: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(store.root), key],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


def test_a_lock_keeps_another_process_out_until_it_is_released(store: Store) -> None:
    child = holder(store, KEY)
    entered = threading.Event()

    def enter() -> None:
        with store.lock(KEY):
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    with store.lock(OTHER):
        assert not entered.wait(0.4)
    child.communicate("")
    assert entered.wait(10)
    thread.join()


def test_a_lock_does_not_outlive_the_process_that_held_it(store: Store) -> None:
    child = holder(store, KEY)
    child.kill()
    child.communicate()
    with store.lock(KEY):
        pass


def test_an_interrupted_build_does_not_wait_for_a_lock(store: Store) -> None:
    child = holder(store, KEY)
    stopped: list[bool] = []

    def enter() -> None:
        try:
            with store.lock(KEY):
                pass
        except children.Stopped:
            stopped.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    time.sleep(0.2)
    children.end_all()
    thread.join(10)
    child.communicate("")
    children.begin()
    assert stopped == [True]


def test_a_pin_stays_until_it_is_renewed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1000.0)
    first = store.pin("subject", renew=False)
    monkeypatch.setattr(time, "time", lambda: 2000.0)
    assert store.pin("subject", renew=False) == first == "1000"
    assert store.pin("other", renew=False) == "2000"
    assert store.pin("subject", renew=True) == "2000"
    assert store.pin("subject", renew=False) == "2000"
    assert sorted(p.name for p in (store.root / "pins").iterdir()) == ["other", "subject"]


def test_of_two_builds_that_start_at_once_both_have_the_pin_of_the_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late() -> float:
        (store.root / "pins/subject").write_text("1000")
        return 2000.0

    monkeypatch.setattr(time, "time", late)
    assert store.pin("subject", renew=False) == "1000"


def test_a_store_that_cannot_be_made_says_where_to_put_it(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError) as caught:
        Store(tmp_path / "file/store").create()
    assert str(tmp_path / "file/store") in caught.value.message
    assert "KIWILITE_STORE" in (caught.value.hint or "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_of_somebody_else_says_where_to_put_one_s_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.create()
    store.entries.chmod(0o500)
    with pytest.raises(HostError, match="cannot be used"):
        store.create()


def test_where_the_store_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIWILITE_STORE", "/srv/store")
    assert default_store() == Path("/srv/store")
    monkeypatch.delenv("KIWILITE_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_store() == Path("/cache/kiwilite")
