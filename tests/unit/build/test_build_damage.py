"""A damaged result is made again before anything that reads it counts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from fake_build import Recorder, node, result, runs, site_of_fakes

from kiwilite.build.executor import Keyed, Site, execute, read_by, with_keys
from kiwilite.build.store import Store
from kiwilite.build.upkeep import Limits, collect
from kiwilite.errors import StageFailed


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    return site_of_fakes(tmp_path, monkeypatch)


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    folder = tmp_path / "diary"
    folder.mkdir()
    return folder


def another_run(site: Site) -> Site:
    return Site(site.store, {})


def flip(keyed: Keyed, site: Site, name: str) -> None:
    """Damage that no stat shows."""
    path = keyed.output(site.store, name) / "result"
    before = path.stat()
    path.write_text("!" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def built(site: Site, diary: Path) -> Keyed:
    """a is read by b, b by c and d; b and c are there."""
    nodes = [
        node(diary, "a"),
        node(diary, "b", "write", "a"),
        node(diary, "c", "write", "b"),
        node(diary, "d", "write", "b", "a"),
    ]
    keyed = with_keys(nodes, site)
    execute(keyed, ["c"], site, Recorder())
    return keyed


def test_a_damaged_input_is_made_again_and_the_step_with_it(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    flip(keyed, site, "b")
    watcher = Recorder()
    execute(keyed, ["d"], another_run(site), watcher)
    assert result(keyed, site, "d") == "abad"
    assert watcher.complaints == {"b": ("out/result: has another content",)}
    assert [runs(diary, name) for name in "abcd"] == [1, 2, 1, 2]
    assert list(site.store.work.iterdir()) == []


def test_an_input_of_a_damaged_input_may_be_damaged_too(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    flip(keyed, site, "a")
    flip(keyed, site, "b")
    execute(keyed, ["d"], another_run(site), Recorder())
    assert result(keyed, site, "d") == "abad"
    assert result(keyed, site, "b") == "ab"


def test_a_step_that_fails_over_a_damaged_input_is_tried_again(site: Site, diary: Path) -> None:
    nodes = [node(diary, "a"), node(diary, "b", "fail", "a")]
    keyed = with_keys(nodes, site)
    execute(keyed, ["a"], site, Recorder())
    flip(keyed, site, "a")
    watcher = Recorder()
    with pytest.raises(StageFailed, match="it went wrong"):
        execute(keyed, ["b"], another_run(site), watcher)
    assert list(watcher.complaints) == ["a"]
    assert (runs(diary, "a"), runs(diary, "b")) == (2, 2)


def test_what_nobody_reads_is_not_examined(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    flip(keyed, site, "a")
    flip(keyed, site, "c")
    watcher = Recorder()
    execute(keyed, ["c"], another_run(site), watcher)
    assert (watcher.begun, watcher.complaints) == ([], {})


def test_what_the_caller_reads_is_examined(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    flip(keyed, site, "c")
    execute(keyed, ["c"], another_run(site), Recorder(), read=["c"])
    assert result(keyed, site, "c") == "abc"
    assert runs(diary, "c") == 2


def test_damage_that_a_stat_shows_is_seen_without_being_read(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    (keyed.output(site.store, "c") / "result").write_text("something else")
    execute(keyed, ["c"], another_run(site), Recorder())
    assert result(keyed, site, "c") == "abc"


def test_what_this_run_made_is_not_examined_by_it(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    flip(keyed, site, "b")
    watcher = Recorder()
    execute(keyed, ["d"], site, watcher)
    assert watcher.complaints == {}


def test_trees_are_examined_for_steps_that_see_them_and_files_for_others(
    site: Site, diary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = built(site, diary)
    assert read_by(keyed, {"d"}, ["b", "c"]) == {"a": "files", "b": "files", "c": "files"}
    monkeypatch.setattr("kiwilite.build.executor.kind_of", lambda _: _Inside)
    assert read_by(keyed, {"d"}, ["b", "c"]) == {"a": "whole", "b": "whole", "c": "files"}
    assert read_by(keyed, {"b", "d"}, ["b"]) == {"a": "whole"}


class _Inside:
    place = "namespace"


def test_a_run_holds_all_of_its_plan_even_what_it_need_not_make(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    later = another_run(site)
    site.uses.release()
    execute(keyed, ["c"], later, Recorder())
    everything = Limits(unused=0, most=0)
    assert collect(site.store, everything).in_use == 3
    later.uses.release()
    assert len(collect(site.store, everything).entries) == 3


def test_what_was_removed_between_two_runs_is_made_again(site: Site, diary: Path) -> None:
    keyed = built(site, diary)
    site.uses.release()
    collect(site.store, Limits(unused=0, most=0))
    execute(keyed, ["c", "d"], site, Recorder())
    assert (result(keyed, site, "c"), result(keyed, site, "d")) == ("abc", "abad")


def test_a_store_that_was_copied_is_as_good(site: Site, diary: Path, tmp_path: Path) -> None:
    keyed = built(site, diary)
    shutil.copytree(site.store.root, tmp_path / "copy", symlinks=True)
    copy, watcher = Store(tmp_path / "copy"), Recorder()
    execute(keyed, ["d"], Site(copy, {}), watcher)
    assert watcher.begun == ["d"]
