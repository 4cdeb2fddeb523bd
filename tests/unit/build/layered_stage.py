"""Stages that make a tree with a file of every kind, and change all that can be changed."""

from __future__ import annotations

import functools
import os
import stat
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from random_edits import edit_at_random

from kiwilite.build.acl import ACCESS, DEFAULT
from kiwilite.build.job import Job
from kiwilite.build.layers import derive_tree
from kiwilite.build.tree import copy_tree
from kiwilite.errors import StageFailed
from kiwilite.plan.references import Output

LONG_AGO = 1_000_000_000_123_456_789
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
"""Revision 2 with the effective bit: CAP_NET_RAW is permitted."""


@dataclass(frozen=True, slots=True)
class TreeStep:
    """Makes `tree/` anew, or from another step's by a change of `CHANGES`, or by random edits
    from the seed that `change` is."""

    name: str
    origin: Output | None = None
    change: str = "nothing"
    way: Literal["layers", "copy"] = "layers"


def run(step: TreeStep, job: Job) -> None:
    """Do it; raises what the change raises."""
    if step.origin is None:
        make_everything(job.out / "tree")
        if step.change == "span":
            (job.out / "tree/moved/inner/far").hardlink_to(job.out / "tree/kept/a")
        return
    change = CHANGES.get(step.change) or functools.partial(edit_at_random, seed=int(step.change))
    if step.way == "layers":
        derive_tree(job, step.origin, change)
    else:
        copy_tree(job, job.read(step.origin) / "tree", job.out / "tree")
        change(job.out / "tree")


def acl(user: int) -> bytes:
    """An ACL by which one more user may read."""
    rows = [(1, 6, -1), (2, 4, user), (4, 4, -1), (0x10, 4, -1), (0x20, 0, -1)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *row) for row in rows)


def make_everything(tree: Path) -> None:
    """A tree of all that a tree can have."""
    for name in FOLDERS:
        (tree / name).mkdir(parents=True)
        for file in "abc":
            (tree / name / file).write_text(f"{name}/{file}\n")
    _make_files(tree)
    _make_links(tree)
    _set_attributes(tree)
    for base, folders, files in os.walk(tree, topdown=False):
        for number, name in enumerate(sorted([*folders, *files])):
            time = LONG_AGO + number
            os.utime(Path(base, name), ns=(time, time), follow_symlinks=False)
    os.utime(tree, ns=(LONG_AGO, LONG_AGO))
    tree.chmod(0o751)


FOLDERS = (
    *("kept", "kept/deep/deeper", "emptied", "removed/inner", "again/inner", "moved/inner"),
    *("to-file", "mixed", "attributes", "times", "parts", "swap", "mode"),
    *("acl", "acl/inner"),
)


def _make_files(tree: Path) -> None:
    for name in (
        "to-folder",
        "deleted",
        "renamed",
        "appended",
        "rewritten",
        "replaced",
        "truncated",
    ):
        (tree / name).write_text(f"{name} as it was\n")
    (tree / "empty").touch()
    with (tree / "holes").open("wb") as stream:
        stream.seek(1 << 20)
        stream.write(b"end")
    for raw in (b"new\nline", b"not \xff utf-8", b"comma,colon:back\\slash", b"%s"):
        (tree / os.fsdecode(raw)).write_bytes(raw)
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "socket", stat.S_IFSOCK | 0o666)


def _make_links(tree: Path) -> None:
    (tree / "dangling").symlink_to("not/there")
    os.symlink("kept//deep/./", tree / "untidy")  # noqa: PTH211 (a Path would tidy it up)
    (tree / "link-to-folder").symlink_to("kept")
    for group in (
        "one-written",
        "one-removed",
        "untouched",
        "one-replaced",
        "all-removed",
        "mode-of",
    ):
        (tree / "parts" / group).write_text(group)
        for number in ("one", "two"):
            (tree / "parts" / f"{group}.{number}").hardlink_to(tree / "parts" / group)
    (tree / "parts/known-as").symlink_to("kept")
    os.link(tree / "parts/known-as", tree / "parts/known-as.one", follow_symlinks=False)
    os.mkfifo(tree / "parts/pipe")
    os.link(tree / "parts/pipe", tree / "parts/pipe.two")


def _set_attributes(tree: Path) -> None:
    for name in ("a", "b"):
        os.setxattr(tree / "attributes" / name, "user.colour", b"blue")
    os.setxattr(tree / "attributes", "user.colour", b"green")
    os.setxattr(tree / "acl/a", ACCESS, acl(1000))
    os.setxattr(tree / "acl/b", ACCESS, acl(1001))
    os.setxattr(tree / "acl", DEFAULT, acl(1002))
    os.chown(tree / "mode/a", 33, 44)
    os.chown(tree / "mode", 55, 66)
    os.chown(tree / "dangling", 77, 88, follow_symlinks=False)
    (tree / "mode/a").chmod(0o6755)
    (tree / "mode/b").chmod(0o400)
    (tree / "mode/c").chmod(0)
    (tree / "mode").chmod(0o1777)
    os.setxattr(tree / "parts/untouched", "user.colour", b"red")
    os.setxattr(tree / "kept/a", "security.capability", CAPABILITY)
    os.setxattr(tree / "kept/b", "security.capability", CAPABILITY)


def _shell(tree: Path, script: str) -> None:
    done = subprocess.run(
        ["sh", "-euc", script], cwd=tree, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StageFailed(done.stderr)


def _nothing(tree: Path) -> None:
    assert (tree / "kept/b").read_text() == "kept/b\n"


def _all(tree: Path) -> None:
    _shell(tree, EDITS)
    os.chown(tree / "kept/c", 12, 34)
    os.chown(tree / "kept/deep", 12, 34)
    os.chown(tree / "untidy", 12, 34, follow_symlinks=False)
    os.chown(tree / "parts/known-as.one", 12, 34, follow_symlinks=False)
    os.chown(tree / "parts/pipe.two", 12, 34)
    with (tree / "holes").open("r+b") as stream:
        stream.write(b"begin")
    for name in ("attributes/a", "attributes"):
        os.setxattr(tree / name, "user.colour", b"yellow")
    os.removexattr(tree / "attributes/b", "user.colour")
    os.setxattr(tree / "acl/a", ACCESS, acl(2000))
    os.removexattr(tree / "acl/b", ACCESS)
    os.setxattr(tree / "kept/b", "user.colour", b"keeps its capability")
    os.utime(tree / "times/a", ns=(5, 5))
    os.utime(tree / "times", ns=(7, 7))
    os.mknod(tree / "mixed/socket", stat.S_IFSOCK | 0o666)


EDITS = """
echo more >>appended
echo other >rewritten
echo new >replaced.new; mv replaced.new replaced
: >truncated
rm deleted
mv renamed renamed-now
rm to-folder; mkdir to-folder; echo in >to-folder/in
rm -r to-file; echo file >to-file
rm emptied/*
rm -r removed
rm -r again; mkdir again; echo fresh >again/fresh; mkdir again/inner
mv moved moved-now
mv swap/a swap/tmp; mv swap/b swap/a; mv swap/tmp swap/b
mkdir -p mixed/new/deep; echo new >mixed/new/deep/file; rm mixed/a; mkdir mixed/a
rm mixed/b; ln -s a mixed/b
mkdir brought; echo 1 >brought/1; rm -r parts/../kept/deep/deeper; mv brought kept/deep/deeper
echo written >parts/one-written.one
rm parts/one-removed
echo replaced >new; mv new parts/one-replaced.two
rm parts/all-removed parts/all-removed.one parts/all-removed.two
chmod 600 parts/mode-of
ln appended linked-now
ln parts/untouched parts/four
ln -s nowhere link-to-nowhere
rm dangling; ln -s elsewhere dangling
rm link-to-folder; mkdir link-to-folder
chmod 700 kept; chmod 4711 mode/b; chmod g+s mode
mkfifo mixed/fifo; rm fifo
"""


def _device_like_whiteout(tree: Path) -> None:
    """What an unpacked layer of a container has: it cannot be made on overlayfs."""
    (tree / "kept/a").write_text("changed before it fails\n")
    (tree / "deleted").unlink()
    os.mknod(tree / "kept/deep/hidden", stat.S_IFCHR | 0o600, 0)


def _opaque_by_name(tree: Path) -> None:
    (tree / "layer").mkdir()
    os.setxattr(tree / "layer", "user.overlay.opaque", b"y")
    os.setxattr(tree / "kept", "user.overlay.opaque", b"y")
    (tree / "kept/new").write_text("beside the others")


def _move_folder(tree: Path) -> None:
    """What `mv` does first; overlayfs answers that this is another file system."""
    (tree / "moved").rename(tree / "moved-now")


def _fail(tree: Path) -> None:
    (tree / "deleted").unlink()
    raise StageFailed("it cannot be done")


CHANGES: Mapping[str, Callable[[Path], None]] = {
    "nothing": _nothing,
    "all": _all,
    "whiteout": _device_like_whiteout,
    "opaque": _opaque_by_name,
    "move": _move_folder,
    "fail": _fail,
}
