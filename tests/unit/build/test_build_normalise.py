"""One list of what differs from build to build, one tree with all of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kiwilite.build.normalise import BYTECODE, EMPTIED, REMOVED, foreign_xattrs, normalise

DAY = 20000
EPOCH = DAY * 86400

KEPT = (
    "etc/hostname",
    "etc/ssh/sshd_config",
    "usr/lib/python3/dist-packages/module.py",
    "var/lib/dpkg/status",
    "var/log/README",
    "root/.bashrc",
)
STATES = """\
Package: zlib
Architecture: amd64
Auto-Installed: 1

Package: acl
Architecture: amd64
Auto-Installed: 1

"""
SHADOW = f"root:$6$x:{DAY + 9}:0:99999:7:::\nold:!:{DAY - 9}:0:99999:7:::\nnever:*::0:99999:7:::\n"


def example_of(pattern: str) -> str:
    """A path that the pattern stands for."""
    return pattern.replace("/.*", "/.hidden").replace("*", "something")


def put(path: Path, text: str = "differs from build to build") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in (*KEPT, *EMPTIED, *map(example_of, REMOVED)):
        put(root / name)
    for name in BYTECODE:
        put(root / "usr/lib/python3/dist-packages" / name / "module.cpython-313.pyc")
    put(root / "tmp/folder/inside")
    put(root / "var/lib/apt/extended_states", STATES)
    put(root / "etc/shadow", SHADOW)
    return root


def contents(tree: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(p.relative_to(tree)): (stat.S_IMODE(p.lstat().st_mode), p.read_bytes())
        for p in tree.rglob("*")
        if p.is_file()
    }


@pytest.mark.parametrize("pattern", REMOVED)
def test_what_is_listed_is_removed(tree: Path, pattern: str) -> None:
    assert list(tree.glob(pattern))
    normalise(tree, epoch=EPOCH)
    assert not list(tree.glob(pattern))


@pytest.mark.parametrize("name", EMPTIED)
def test_what_must_exist_is_emptied_and_keeps_its_mode(tree: Path, name: str) -> None:
    (tree / name).chmod(0o640)
    normalise(tree, epoch=EPOCH)
    assert (tree / name).read_bytes() == b""
    assert stat.S_IMODE((tree / name).stat().st_mode) == 0o640


@pytest.mark.parametrize("name", KEPT)
def test_what_is_not_listed_stays(tree: Path, name: str) -> None:
    before = (tree / name).read_bytes()
    normalise(tree, epoch=EPOCH)
    assert (tree / name).read_bytes() == before


def test_a_missing_machine_id_is_made_empty(tree: Path) -> None:
    (tree / "etc/machine-id").unlink()
    normalise(tree, epoch=EPOCH)
    assert (tree / "etc/machine-id").read_bytes() == b""


def test_bytecode_goes_and_its_source_stays(tree: Path) -> None:
    normalise(tree, epoch=EPOCH)
    assert not list(tree.rglob("*.pyc"))
    assert not list(tree.rglob("__pycache__"))


def test_apt_s_states_are_sorted_whatever_the_order_of_installation(tree: Path) -> None:
    states = tree / "var/lib/apt/extended_states"
    normalise(tree, epoch=EPOCH)
    sorted_once = states.read_text()
    first, second, _ = STATES.split("\n\n")
    assert sorted_once == f"{second}\n\n{first}\n\n"
    states.write_text(f"{second}\n\n{first}\n\n")
    normalise(tree, epoch=EPOCH)
    assert states.read_text() == sorted_once


def test_the_day_of_a_password_is_never_that_of_the_build(tree: Path) -> None:
    normalise(tree, epoch=EPOCH)
    days = [line.split(":")[2] for line in (tree / "etc/shadow").read_text().splitlines()]
    assert days == [str(DAY), str(DAY - 9), ""]


def test_twice_is_as_good_as_once(tree: Path) -> None:
    normalise(tree, epoch=EPOCH)
    once = contents(tree)
    normalise(tree, epoch=EPOCH)
    assert contents(tree) == once


def test_an_empty_tree_is_fine(tmp_path: Path) -> None:
    normalise(tmp_path, epoch=EPOCH)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", ["tmp", "var/tmp", "etc/machine-id", "etc/shadow"])
def test_links_that_leave_the_tree_are_not_followed(tree: Path, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "host"
    put(outside / "file", SHADOW)
    target = outside / "file" if link.startswith("etc") else outside
    path = tree / link
    if path.is_dir():
        path.rename(path.with_name("moved"))
    else:
        path.unlink()
    path.symlink_to(target)
    normalise(tree, epoch=EPOCH)
    assert (outside / "file").read_text() == SHADOW


def test_a_dangling_machine_id_creates_nothing_on_the_host(tree: Path, tmp_path: Path) -> None:
    (tree / "etc/machine-id").unlink()
    (tree / "etc/machine-id").symlink_to(tmp_path / "host-file")
    normalise(tree, epoch=EPOCH)
    assert not (tmp_path / "host-file").exists()


def test_labels_of_the_host_are_found_and_the_image_s_own_attributes_are_not(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labelled = tree / "etc/hostname"

    def attributes(path: Path, *, follow_symlinks: bool) -> list[str]:
        assert not follow_symlinks
        own = ["security.capability", "user.own"]
        return [*own, "security.selinux"] if path == labelled else own

    monkeypatch.setattr(os, "listxattr", attributes)
    assert list(foreign_xattrs(tree)) == [labelled]
