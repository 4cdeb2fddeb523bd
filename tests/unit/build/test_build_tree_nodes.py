"""A folder of the host becomes the tree that a squashfs is made from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kiwilite.build.tree_nodes import tree_nodes
from kiwilite.ondisk.squashfs.tree import Endpoint, Folder, Node, RegularFile, SymbolicLink, Tree

EPOCH = 1_000_000


def by_path(tree: Tree) -> dict[bytes, tuple[int, Node]]:
    found = {b"": (0, tree.nodes[0])}
    pending = [b""]
    while pending:
        path = pending.pop()
        body = found[path][1].body
        if isinstance(body, Folder):
            for name, number in body.children:
                found[path + b"/" + name] = number, tree.nodes[number]
                pending.append(path + b"/" + name)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "b/inner").mkdir(parents=True)
    (root / "b/file").write_text("content")
    (root / "b/inner/hidden").touch()
    (root / "a").symlink_to("b//./file")
    (root / "z").hardlink_to(root / "b/file")
    return root


def test_everything_has_its_name_and_second_names_share_a_node(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    found = by_path(tree_nodes(folder, emptied=(), epoch=EPOCH))
    names = [b"", b"/a", b"/b", b"/b/file", b"/b/inner", b"/b/inner/hidden", b"/fifo", b"/z"]
    assert sorted(found) == names
    assert found[b"/a"][1].body == SymbolicLink(b"b//./file")
    assert found[b"/fifo"][1].body == Endpoint("fifo")
    assert found[b"/z"] == found[b"/b/file"]
    body = found[b"/z"][1].body
    assert isinstance(body, RegularFile)
    assert (folder / os.fsdecode(body.path)).read_text() == "content"
    assert body.size == 7


def test_children_stand_in_order_of_their_bytes_behind_their_parent(folder: Path) -> None:
    for name in ("B", "aa", "é", "Z"):
        (folder / name).touch()
    tree = tree_nodes(folder, emptied=(), epoch=EPOCH)
    for number, node in enumerate(tree.nodes):
        if isinstance(node.body, Folder):
            names = [name for name, _ in node.body.children]
            assert names == sorted(names)
            inner = [c for _, c in node.body.children if isinstance(tree.nodes[c].body, Folder)]
            assert all(c > number for c in inner)


def test_an_emptied_folder_stays_with_nothing_in_it(folder: Path) -> None:
    found = by_path(tree_nodes(folder, emptied={b"b/inner"}, epoch=EPOCH))
    assert found[b"/b/inner"][1].body == Folder(())
    assert b"/b/file" in found


def test_time_stamps_after_the_epoch_are_clamped(folder: Path) -> None:
    os.utime(folder / "b/file", (EPOCH + 5, EPOCH + 5))
    os.utime(folder / "b/inner/hidden", (5, 5))
    os.utime(folder / "b", (-9, -9))
    found = by_path(tree_nodes(folder, emptied=(), epoch=EPOCH))
    times = [found[p][1].mtime for p in (b"/b/file", b"/b/inner/hidden", b"/b")]
    assert times == [EPOCH, 5, 0]


def test_modes_owners_and_attributes_are_taken(folder: Path) -> None:
    (folder / "b/file").chmod(0o4751)
    os.setxattr(folder / "b/file", "user.colour", b"blue")
    os.setxattr(folder / "b/file", "user.a", b"1")
    node = by_path(tree_nodes(folder, emptied=(), epoch=EPOCH))[b"/b/file"][1]
    assert node.mode == 0o4751
    assert (node.uid, node.gid) == (os.geteuid(), (folder / "b/file").stat().st_gid)
    assert node.xattrs == ((b"user.a", b"1"), (b"user.colour", b"blue"))


def test_what_squashfs_has_no_room_for_is_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names(path: bytes, *, follow_symlinks: bool) -> list[str]:
        return ["user.colour", "system.posix_acl_access", "security.capability"]

    monkeypatch.setattr(os, "listxattr", names)
    monkeypatch.setattr(os, "getxattr", lambda path, name, *, follow_symlinks: name)
    node = tree_nodes(folder, emptied=(), epoch=EPOCH).nodes[0]
    assert [name for name, _ in node.xattrs] == [b"security.capability", b"user.colour"]
