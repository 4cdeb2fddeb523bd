"""A tree made from another one by changing it, without a copy of what stays the same.

The new tree begins as hard links to the files of the other one. It is the lower layer of an
overlayfs while it is changed, so that all that is written is written beside it, and when all
is done, that is put in. No result is ever written to, so two may share files. Where the host
cannot mount such layers, the tree is copied. Both ways give the same tree.

    origin ── links ──▶ lower ┐
                              ├─▶ change ─▶ lower with what is in upper = tree
                        upper ┘

That the lower layer is of links is more than a way to begin: overlayfs has the same number
for all names of a file, as tools that keep hard links need it, where the lower file has several
names itself. Only called from within the namespace.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from kiwilite.build import syscalls as sc
from kiwilite.build.input_manifests import input_of
from kiwilite.build.job import Job
from kiwilite.build.link_trees import OWN, copy, link_tree, put_in, take_along
from kiwilite.build.manifest import Row, Shared
from kiwilite.build.tree import copy_tree
from kiwilite.errors import NoSpace, StageFailed
from kiwilite.plan.references import Output

TREE = "tree"
_CHARACTER_DEVICE = f"{stat.S_IFCHR:o}"


def derive_tree(job: Job, origin: Output, change: Callable[[Path], None]) -> None:
    """Make `tree/` of the job: the tree of another step's result, changed by `change`.

    `change` gets the folder, and is called once more with a copy where it fails on layers:
    some things cannot be done on overlayfs (to make whiteouts, as images of containers have
    them; to rename a folder of the lower layer), and what fails is never to be blamed on it.
    One thing succeeds and is different: `mv` of such a folder copies it, as it does between
    file systems, and a file in it that `change` has given a name elsewhere is two files then.
    """
    source, target = job.read(origin) / TREE, job.out / TREE
    if _changed_on_layers(job, origin, target, change):
        return
    copy_tree(job, source, target)
    change(target)


def _changed_on_layers(
    job: Job, origin: Output, target: Path, change: Callable[[Path], None]
) -> bool:
    """Whether the tree was made that way; where it was not, nothing of it is left."""
    lower, upper, work = (job.scratch / name for name in ("lower", "upper", "overlay"))
    try:
        links = _link_groups(input_of(job, origin))
        if links is None:
            return False
        link_tree(job.linkable(job.read(origin)) / TREE, job.linkable(lower))
        _fill_upper(lower, upper, links)
        work.mkdir()
        target.mkdir()
        with _mounted(lower, upper, work, target):
            change(target)
        put_in(upper, lower)
        lower.rename(target)
    except NoSpace:
        raise
    except (StageFailed, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        job.note(f"on layers: {error}\nonce more, on a copy\n")
        if target.exists():
            shutil.rmtree(target)
        return False
    finally:
        # The kernel leaves a folder in there that only root of the namespace can look into.
        for path in (p for p in (lower, upper, work) if p.exists()):
            shutil.rmtree(path)
    return True


def _link_groups(origin: Shared) -> list[list[str]] | None:
    """The names of each file below `tree/` that has several; None where layers will not do.

    That is where the tree has what means something else in a layer, or a file with names in
    two folders: who moves one of them copies it, since overlayfs cannot rename it, and the file
    would be two. Where the manifest says something wrong, so does the examination of the
    entry, and the result will not count.
    """
    if not origin.noted or any(map(functools.partial(_means_more, origin.out), origin.noted)):
        return None
    groups: dict[str | tuple[int, int], list[str]] = {}
    for row in origin.noted:
        if row.kind == "file" and row.content.startswith("= "):
            first = row.content.removeprefix("= ")
            groups.setdefault(first, [first]).append(row.path)
        elif row.kind not in ("file", "folder"):  # their second names are not noted
            status = os.lstat(f"{origin.out}/{row.path}")
            if status.st_nlink > 1:
                groups.setdefault((status.st_dev, status.st_ino), []).append(row.path)
    found = [names for names in groups.values() if len(names) > 1]
    if any(len({Path(name).parent for name in names}) > 1 for names in found):
        return None
    return [[name.removeprefix(f"{TREE}/") for name in names] for names in found]


def _means_more(out: str, row: Row) -> bool:
    """Whether it is a whiteout, or has an attribute, by which layers would be told."""
    if not row.attributes:
        return row.kind == _CHARACTER_DEVICE
    names = os.listxattr(f"{out}/{row.path}", follow_symlinks=False)
    return row.kind == _CHARACTER_DEVICE or any(name.startswith(OWN) for name in names)


def _fill_upper(source: Path, upper: Path, groups: Sequence[Sequence[str]]) -> None:
    """Make the upper layer, with the files that have several names in the lower one.

    overlayfs copies a file when it is opened for writing, and then one name of several.
    """
    upper.mkdir()
    folders = {Path()}
    for first, *others in groups:
        for name in (first, *others):
            for folder in reversed(Path(name).parents):
                if folder not in folders:
                    (upper / folder).mkdir()
                    folders.add(folder)
        copy(f"{source}/{first}", f"{upper}/{first}")
        for name in others:
            os.link(upper / first, upper / name, follow_symlinks=False)
    for folder in folders:
        take_along(str(source / folder), str(upper / folder))


@contextlib.contextmanager
def _mounted(lower: Path, upper: Path, work: Path, target: Path) -> Iterator[None]:
    """Both layers as one on `target`; OSError where the host cannot do that, or not all of it.

    Nothing in it is flushed to the disk ("volatile"), as nowhere in a step.
    """
    with contextlib.ExitStack() as stack:
        fds = []
        for path in (lower, upper, work):
            fds.append(os.open(path, os.O_PATH | os.O_DIRECTORY))
            stack.callback(os.close, fds[-1])
        # By descriptor: in a path there may be what separates options.
        where = zip(("lowerdir", "upperdir", "workdir"), fds, strict=True)
        options = ",".join(f"{name}=/proc/self/fd/{fd}" for name, fd in where)
        sc.mount("tree", str(target), "overlay", 0, f"{options},userxattr,volatile,index=off")
        try:
            # Kernels before 6.7 refuse it, which an archive of a container's layers may need. Where
            # the file system cannot be an upper layer, all writing is refused.
            os.setxattr(target, f"{OWN}probe", b"")
            os.removexattr(target, f"{OWN}probe")
            yield
        finally:
            sc.umount_lazily(str(target))
