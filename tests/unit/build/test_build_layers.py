"""A tree made on layers is what a copy would have become, and harms none it shares with."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from fake_build import Recorder
from layered_stage import TreeStep

from kiwilite.build import keys, manifest
from kiwilite.build import store as store_module
from kiwilite.build.executor import Keyed, Site, execute, with_keys
from kiwilite.build.kinds import KINDS, Kind
from kiwilite.build.manifest import Row
from kiwilite.build.sandbox import Bind
from kiwilite.build.starter import serving
from kiwilite.build.store import Store, remove_tree
from kiwilite.build.vetting import examine_inside
from kiwilite.errors import HostError, StageFailed
from kiwilite.plan import steps as s
from kiwilite.plan.nodes import Node

LAYERED = ("nothing", "all", "opaque")
"""Changes that can be done on layers."""
COPIED = ("whiteout", "move")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty store, and steps in the namespace."""
    kind = Kind("layered_stage", "namespace", links=True)
    monkeypatch.setitem(cast(Any, KINDS), TreeStep, kind)
    monkeypatch.setattr(keys, "code_of", lambda kind: {kind.module: ""})
    store = Store(tmp_path / "store")
    store.create()
    return Site(store, {}, (Bind(str(Path(__file__).parent)),))


def node(step: TreeStep) -> Node:
    return Node(step.name, step.name, cast(s.Step, step))


def steps(*later: TreeStep) -> Sequence[Node]:
    return [node(step) for step in (TreeStep("origin"), *later)]


def built(site: Site, *later: TreeStep) -> Keyed:
    """All steps carried out, in a process's view of its own."""
    keyed = with_keys(steps(*later), site)
    try:
        execute(keyed, list(keyed.keys), site, Recorder())
    except HostError as error:
        pytest.skip(str(error))
    return keyed


def another_run(site: Site) -> Site:
    return Site(site.store, {}, site.extra_binds)


def derived(name: str, change: str, origin: str = "origin", **more: Any) -> TreeStep:
    return TreeStep(name, s.Output(origin), change, **more)


def rows(keyed: Keyed, site: Site, name: str, since: float) -> tuple[Row, ...]:
    """The manifest; what was changed by the test itself has no time."""
    noted = manifest.read(keyed.entry(site.store, name))
    return tuple(row._replace(time=0) if row.time > since * 1e9 else row for row in noted)


def log(keyed: Keyed, site: Site, name: str) -> str:
    return (keyed.entry(site.store, name) / "log").read_text()


def identities(keyed: Keyed, site: Site, name: str) -> dict[str, tuple[int, int]]:
    """Where each file and link of a tree really is."""
    tree = keyed.output(site.store, name) / "tree"
    inner = (p for p in tree.rglob("*") if p.is_symlink() or not p.is_dir())
    return {str(p.relative_to(tree)): (p.lstat().st_dev, p.lstat().st_ino) for p in inner}


def demand_layers(tmp_path: Path) -> None:
    """Skip where the host cannot have an upper layer below `tmp_path`."""
    release = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
    kind = subprocess.check_output(["stat", "-f", "-c", "%T", tmp_path], text=True).strip()
    if release < (6, 7) or kind not in ("ext2/ext3", "xfs", "btrfs"):
        pytest.skip(f"Linux {release} may not layer folders of {kind}")


@pytest.mark.parametrize("change", [*LAYERED, *COPIED])
def test_layers_give_what_a_copy_gives(site: Site, change: str) -> None:
    begun = time.time()
    layers, copy = derived("layers", change), derived("copy", change, way="copy")
    keyed = built(site, layers, copy)
    assert rows(keyed, site, "layers", begun) == rows(keyed, site, "copy", begun)
    assert examined(keyed, site) == dict.fromkeys(keyed.keys, ())


def compare_random_edits(site: Site, seeds: range) -> None:
    begun = time.time()
    layers = [derived(f"layers-{seed}", f"{seed}") for seed in seeds]
    copies = [derived(f"copy-{seed}", f"{seed}", way="copy") for seed in seeds]
    keyed = built(site, *layers, *copies)
    for seed in seeds:
        expected = rows(keyed, site, f"copy-{seed}", begun)
        assert rows(keyed, site, f"layers-{seed}", begun) == expected, seed
    assert not [name for name in keyed.keys if "once more" in log(keyed, site, name)]
    assert examined(keyed, site) == dict.fromkeys(keyed.keys, ())


def test_layers_give_what_a_copy_gives_whatever_is_done(site: Site) -> None:
    compare_random_edits(site, range(6))


@pytest.mark.soak
def test_layers_give_what_a_copy_gives_whatever_is_done_often(site: Site) -> None:
    compare_random_edits(site, range(6, 200))


@pytest.mark.parametrize("change", LAYERED)
def test_a_tree_may_be_made_of_a_tree_of_links(site: Site, change: str) -> None:
    begun = time.time()
    keyed = built(
        site,
        derived("first", "nothing"),
        derived("second", change, "first"),
        derived("third", "nothing", "second"),
        derived("copy", change, way="copy"),
    )
    expected = rows(keyed, site, "copy", begun)
    assert rows(keyed, site, "second", begun) == expected
    assert rows(keyed, site, "third", begun) == expected
    assert examined(keyed, site) == dict.fromkeys(keyed.keys, ())


def examined(keyed: Keyed, site: Site) -> dict[str, tuple[str, ...]]:
    """What is wrong with each result, all of it read."""
    entries = {keyed.entry(site.store, name): name for name in keyed.keys}
    with serving() as starter:
        return {entries[e]: found for e, found in examine_inside(list(entries), starter).items()}


@pytest.mark.parametrize("change", LAYERED)
def test_what_does_not_change_is_shared(site: Site, tmp_path: Path, change: str) -> None:
    demand_layers(tmp_path)
    keyed = built(site, derived("layers", change))
    before, after = (identities(keyed, site, name) for name in ("origin", "layers"))
    assert "copy" not in log(keyed, site, "layers")
    for name in (
        "kept/a",
        "empty",
        "mode/a",
        "mode/c",
        "comma,colon:back\\slash",
        "acl/c",
        "untidy",
    ):
        if change != "all" or name != "untidy":
            assert after[name] == before[name], name
    # What has several names in the tree is copied, for they have to stay names of one file.
    assert after["parts/untouched"] == after["parts/untouched.one"] != before["parts/untouched"]


@pytest.mark.parametrize("change", COPIED)
def test_what_layers_cannot_do_is_done_on_a_copy(site: Site, tmp_path: Path, change: str) -> None:
    demand_layers(tmp_path)
    keyed = built(site, derived("layers", change))
    before, after = (identities(keyed, site, name) for name in ("origin", "layers"))
    assert "once more, on a copy" in log(keyed, site, "layers")
    assert not set(before.values()) & set(after.values())


def test_a_tree_with_whiteouts_is_copied(site: Site) -> None:
    begun = time.time()
    keyed = built(
        site, derived("whiteout", "whiteout"), derived("opaque", "opaque", "whiteout"),
        derived("third", "nothing", "opaque"),
    )  # fmt: skip
    assert rows(keyed, site, "third", begun) == rows(keyed, site, "opaque", begun)
    assert "tree/kept/deep/hidden" in {r.path for r in rows(keyed, site, "third", begun)}
    kept = identities(keyed, site, "opaque")
    assert not set(kept.values()) & set(identities(keyed, site, "third").values())


def test_a_tree_with_a_file_in_two_folders_is_copied(site: Site) -> None:
    """Else `mv` of one of the folders would make it two files."""
    begun = time.time()
    layers, copy = derived("layers", "all", "far"), derived("copy", "all", "far", way="copy")
    keyed = built(site, TreeStep("far", change="span"), layers, copy)
    assert rows(keyed, site, "layers", begun) == rows(keyed, site, "copy", begun)
    moved = identities(keyed, site, "layers")
    assert moved["moved-now/inner/far"] == moved["kept/a"]


def test_a_failure_is_told_as_it_is_without_layers(site: Site) -> None:
    keyed = with_keys(steps(derived("layers", "fail")), site)
    with pytest.raises(StageFailed, match="it cannot be done") as caught:
        execute(keyed, ["layers"], site, Recorder())
    assert caught.value.where == "step layers"
    assert list(site.store.work.iterdir()) == []
    assert examined(with_keys(steps(), site), site) == {"origin": ()}


def test_nothing_is_left_beside_the_result(site: Site) -> None:
    keyed = built(site, derived("layers", "all"))
    entry = keyed.entry(site.store, "layers")
    assert sorted(p.name for p in entry.iterdir()) == ["about.json", "log", "manifest", "out"]
    assert [p.name for p in (entry / "out").iterdir()] == ["tree"]
    for path in (entry / "out").rglob("*"):
        if not path.is_symlink():
            assert not [n for n in os.listxattr(path) if n.startswith("user.overlay")]


def flip(path: Path) -> None:
    """Damage that no stat shows."""
    before = path.stat()
    path.write_text("!" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_damage_of_a_shared_file_is_found_and_repaired_in_all_that_have_it(site: Site) -> None:
    begun = time.time()
    later = (derived("middle", "nothing"), derived("end", "all", "middle"))
    keyed = built(site, *later)
    sound = {name: rows(keyed, site, name, begun) for name in keyed.keys}
    flip(keyed.output(site.store, "middle") / "tree/kept/a")
    found = examined(keyed, site)
    assert all("tree/kept/a: has another content" in found[name][0] for name in keyed.keys)

    extra = derived("extra", "nothing", "end")
    wider, watcher = with_keys(steps(*later, extra), site), Recorder()
    execute(wider, ["extra"], another_run(site), watcher)
    assert watcher.complaints.keys() == {"origin", "middle", "end"}
    assert examined(wider, site) == dict.fromkeys(wider.keys, ())
    assert {name: rows(keyed, site, name, begun) for name in keyed.keys} == sound


def test_damage_of_what_is_linked_meanwhile_is_found_before_the_result_counts(site: Site) -> None:
    keyed = built(site)
    flip(keyed.output(site.store, "origin") / "tree/kept/a")
    keyed = with_keys(steps(derived("layers", "nothing")), site)
    watcher = Recorder()
    execute(keyed, ["layers"], another_run(site), watcher)
    assert watcher.complaints.keys() == {"origin"}
    assert (keyed.output(site.store, "layers") / "tree/kept/a").read_text() == "kept/a\n"
    assert examined(keyed, site) == {"origin": (), "layers": ()}


def test_to_remove_a_tree_of_foreign_ids_leaves_what_it_shares(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = built(site, derived("layers", "nothing"))
    refused: list[Path] = []

    def refuse_once(path: Path, **more: Any) -> None:
        if refused:
            return shutil.rmtree(path, **more)
        refused.append(path)
        raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(store_module, "shutil", type("Refusing", (), {"rmtree": refuse_once}))
        remove_tree(keyed.entry(site.store, "layers"))
    assert refused
    assert not keyed.entry(site.store, "layers").exists()
    assert examined(with_keys(steps(), site), site) == {"origin": ()}
