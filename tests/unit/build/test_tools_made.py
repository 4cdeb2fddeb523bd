"""A tools tree is made when a step needs it, and is sound when a step has used it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_build import Recorder, node, result, runs, site_of_fakes
from fake_stage import FakeStep

from kiwilite.build import vetting
from kiwilite.build.executor import Site, execute, with_keys
from kiwilite.build.host import Identity, ToolDigests
from kiwilite.build.kinds import KINDS, Kind
from kiwilite.build.toolset import Toolset
from kiwilite.build.uses import Uses
from kiwilite.build.vetting import examine_outside


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    folder = tmp_path / "diary"
    folder.mkdir()
    return folder


@pytest.fixture
def site(tmp_path: Path, diary: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Steps that call a tool, which comes from the result of a step called `tree`."""
    site = site_of_fakes(tmp_path, monkeypatch)
    monkeypatch.setitem(cast(Any, KINDS), FakeStep, Kind("fake_stage", "host", ("tool",)))
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))
    # What fakes make belongs to this user, and not to the namespace's root.
    monkeypatch.setattr(vetting, "examine_inside", lambda entries, _: examine_outside(entries))
    return replace(site, tools=Toolset(node(diary, "tree"), Identity("tools tree", "1")))


def another_run(site: Site) -> Site:
    return replace(site, uses=Uses())


def test_the_tree_is_made_once_and_before_what_needs_it(site: Site, diary: Path) -> None:
    watcher = Recorder()
    execute(with_keys([node(diary, "a")], site), ["a"], site, watcher)
    execute(with_keys([node(diary, "b")], site), ["b"], another_run(site), watcher)
    assert watcher.ended == ["tree", "a", "b"]


def test_where_nothing_has_to_run_the_tree_may_be_gone(site: Site, diary: Path) -> None:
    assert site.tools is not None
    keyed = with_keys([node(diary, "a")], site)
    execute(keyed, ["a"], site, Recorder())
    tree = with_keys([site.tools.node], replace(site, tools=None))
    site.store.discard(tree.keys["tree"])
    watcher = Recorder()
    execute(keyed, ["a"], another_run(site), watcher)
    assert watcher.begun == []


def test_what_a_damaged_tool_made_does_not_count(site: Site, diary: Path) -> None:
    assert site.tools is not None
    execute(with_keys([node(diary, "a")], site), ["a"], site, Recorder())
    tree = with_keys([site.tools.node], replace(site, tools=None))
    file = tree.output(site.store, "tree") / "result"
    before = file.stat()
    file.write_text("!" * before.st_size)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    watcher = Recorder()
    keyed = with_keys([node(diary, "b")], site)
    execute(keyed, ["b"], another_run(site), watcher)
    assert watcher.complaints == {"tree": ("out/result: has another content",)}
    assert (runs(diary, "tree"), runs(diary, "b")) == (2, 2)
    assert result(keyed, site, "b") == "b"
