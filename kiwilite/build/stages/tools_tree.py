"""The tools of other steps in a tree of their own: packages unpacked, and nothing of them run.

Their programs find libraries where the tree's own ld.so looks by itself, and none of them
needs what a maintainer script would do. So the tree is the packages' bytes, whichever dpkg
unpacks them.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.package_files import fetched
from kiwilite.errors import StageFailed
from kiwilite.plan.selection import PackageFile
from kiwilite.plan.tree_steps import ToolsTree

MERGED = ("bin", "sbin", "lib", "lib64")
"""Links into `usr/`, wherever the packages have these folders."""

_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var")
"""No tool reads them, and the tree is summed whenever it is used."""

_UNPACK = """\
tree=$1
shift
for package; do
    dpkg-deb --fsys-tarfile "$package" >data.tar
    tar --extract --file=data.tar --directory="$tree" --keep-directory-symlink \\
        --numeric-owner --preserve-permissions
done
"""


def run(step: ToolsTree, job: Job) -> None:
    """Fill `tree/`. Raises what `package_files.fetched` does."""
    tree = job.out / "tree"
    (tree / "usr").mkdir(parents=True)
    for name in MERGED:
        (tree / "usr" / name).mkdir()
        (tree / name).symlink_to(f"usr/{name}")
    _unpack(job, step.package_files, tree)
    for name in _LEFT_OUT:
        shutil.rmtree(tree / name, ignore_errors=True)
    _name_users(tree)


def _unpack(job: Job, packages: Sequence[PackageFile], tree: Path) -> None:
    kept = fetched(job, packages)
    files = [kept[package.sha256] for package in packages]
    job.run(["/bin/sh", "-euc", _UNPACK, "sh", tree, *files])
    replaced = [name for name in MERGED if not (tree / name).is_symlink()]
    if replaced:
        raise StageFailed(f"a package of the tools tree replaces /{replaced[0]} by a folder")


def _name_users(tree: Path) -> None:
    """The distribution's own users and groups, as its base-passwd would put them there."""
    for name in ("passwd", "group"):
        master = tree / f"usr/share/base-passwd/{name}.master"
        if master.exists():
            shutil.copyfile(master, tree / "etc" / name)
