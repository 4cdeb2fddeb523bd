"""Which tools come from a tree, what of it is in keys, and what a lock has to say about it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from built_description import SIMPLE, write_files
from planned_keys import MIRRORS, Nobody, lock, store_beside

from kiwilite.build import lock_file, tools_tree
from kiwilite.build.executor import Site, with_keys
from kiwilite.build.host import Identity, ToolDigests
from kiwilite.build.job import Job
from kiwilite.build.kinds import KINDS
from kiwilite.build.lock_file import LockOutdated
from kiwilite.build.store import Store
from kiwilite.build.tools_view import hides
from kiwilite.build.toolset import toolset
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.errors import HostError
from kiwilite.plan import steps as s
from kiwilite.plan.lock import LockedTree, selection_name
from kiwilite.plan.nodes import Node
from kiwilite.plan.selection import PackageFile, Place


def package(name: str, content: str = "0", repository: str = "distro:debian") -> PackageFile:
    place = Place(repository, "trixie/main", None, f"pool/{name}.deb")
    return PackageFile(name, "1", "amd64", 1000, content * 64, 4096, place)


TREE = tuple(package(name) for name in tools_tree.packages_for("tree"))
PACK = Node("pack", "archive", s.PackBootstrap(s.Output("bootstrap"), 0))


def key(packages: Sequence[PackageFile] | None, node: Node, tmp_path: Path) -> str:
    """The key of a step that reads one called `bootstrap`."""
    site = Site(Store(tmp_path), {}, tools=None if packages is None else toolset(packages, "amd64"))
    nothing = s.FetchBootstrap(package("base"))
    return with_keys([Node("bootstrap", "", nothing), node], site).keys[node.name]


def test_no_tool_of_the_host_is_looked_at_where_they_come_from_a_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: pytest.fail(name))
    monkeypatch.setattr(ToolDigests, "files", lambda self, name: pytest.fail(name))
    assert key(TREE, PACK, tmp_path)


def test_a_key_has_the_packages_of_the_tree_and_not_where_they_were_had(tmp_path: Path) -> None:
    other = (replace(TREE[0], sha256="1" * 64), *TREE[1:])
    elsewhere = tuple(package(p.name, repository="https://other.invalid/d") for p in TREE)
    assert key(TREE, PACK, tmp_path) == key(elsewhere, PACK, tmp_path)
    assert len({key(tree, PACK, tmp_path) for tree in (TREE, other, TREE[1:])}) == 3


def test_what_asks_repositories_has_the_tools_of_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))
    ask = Node("ask", "", s.ResolvePackages((), None, (), (), False, "amd64", "1"))
    assert key(TREE, ask, tmp_path) == key(None, ask, tmp_path)
    assert key(TREE, PACK, tmp_path) != key(None, PACK, tmp_path)


def test_the_tree_has_a_package_for_each_tool_and_the_host_few() -> None:
    called = {tool for kind in KINDS.values() if kind.tools_from == "tree" for tool in kind.tools}
    assert {"mksquashfs", "mkfs.xfs", "veritysetup", "mcopy", "mmdebstrap"} <= called
    assert {"squashfs-tools", "libfaketime", "mtools"} <= set(tools_tree.packages_for("tree"))
    assert tools_tree.packages_for("host") == (
        *("apt", "debian-archive-keyring", "dpkg", "tar", "zstd"),
    )


@pytest.mark.parametrize(
    ("path", "hidden"),
    [("/usr/local/store", True), ("/etc", True), ("/opt/store", False), ("/", False)],
)
def test_a_folder_that_the_tree_has_too_is_hidden(path: str, hidden: bool) -> None:
    assert hides(Path(path)) is hidden


def test_a_store_that_tools_would_not_see_is_refused() -> None:
    with pytest.raises(HostError, match="the store cannot be in /usr/local/store"):
        tools_tree.check_place(Store(Path("/usr/local/store")))


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Appliance, Site]:
    """A description with a lock that knows of no tree, and a site that wants one."""
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))
    folder = tmp_path / "description"
    folder.mkdir()
    write_files(folder)
    (folder / "appliance.kiwi").write_text(SIMPLE)
    lock(folder)
    appliance, _ = load(folder, (), arch="x86_64")
    return appliance, Site(store_beside(folder), MIRRORS, tools_from="tree")


def put(appliance: Appliance, site: Site, packages: Sequence[PackageFile]) -> None:
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    before = lock_file.read(path).selections[name]
    tree = LockedTree((), tuple(packages))
    lock_file.put(path, name, replace(before, tools=(), tools_tree=tree), site)


def test_a_lock_without_a_tree_is_no_answer_to_who_wants_one(
    locked: tuple[Appliance, Site],
) -> None:
    with pytest.raises(LockOutdated, match="no tools tree") as caught:
        tools_tree.equipped(*locked, Nobody(), refresh=False)
    assert caught.value.hint and "lock --tools tree" in caught.value.hint


def test_a_locked_tree_lacks_what_a_later_kiwilite_calls(locked: tuple[Appliance, Site]) -> None:
    put(*locked, [p for p in TREE if p.name != "xfsprogs"])
    with pytest.raises(LockOutdated, match="lacks xfsprogs"):
        tools_tree.equipped(*locked, Nobody(), refresh=False)


def test_the_locked_tree_is_the_one_that_is_taken(locked: tuple[Appliance, Site]) -> None:
    put(*locked, TREE)
    for site in (
        tools_tree.equipped(*locked, Nobody(), refresh=False),
        tools_tree.foreseen(*locked),
    ):
        assert site.tools == toolset(TREE, "amd64")


def test_a_plan_needs_no_selection_of_tools(locked: tuple[Appliance, Site]) -> None:
    appliance, site = locked
    lock_file.lock_path(appliance).unlink()
    tools = tools_tree.foreseen(appliance, site).tools
    assert tools is not None and "not selected" in tools.identity.digest


def test_tools_find_files_where_the_tree_has_them(tmp_path: Path) -> None:
    library = tmp_path / "tree/usr/lib/some/faketime.so"
    library.parent.mkdir(parents=True)
    library.touch()
    job = Job("", tmp_path, tmp_path, tmp_path / "log", {}, {}, tmp_path, {})
    pattern = "usr/lib/*/faketime.so"
    assert replace(job, tools=tmp_path / "tree").tool_file(pattern) == Path(
        "/usr/lib/some/faketime.so"
    )
    assert job.tool_file(pattern) is None
    assert job.tool_file("usr") == Path("/usr")


def test_the_host_s_tools_are_left_to_what_downloads(tmp_path: Path) -> None:
    job = Job("", tmp_path, tmp_path, tmp_path / "log", {}, {}, tmp_path, {}, tools=tmp_path)
    assert job.on_host.run(["readlink", "-f", "/proc/self/root"]).strip() == os.sep
