"""What stages do to root trees; only called from within the namespace."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.modes import meant_mode
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import PlaceFile, UnpackArchive

MOST_LINKS = 40
"""As many as the kernel follows (path_resolution(7))."""


def copy_tree(job: Job, source: Path, target: Path) -> None:
    """A copy with owners, modes, hard links, ACLs and xattrs; shared blocks where possible."""
    job.run(["cp", "-a", "--reflink=auto", source, target])


def inside(tree: Path, path: str) -> Path:
    """Where an absolute path of the image stands in the tree; links are followed inside it.

    Raises StageFailed for a path that leaves the tree, or a link that leads nowhere.
    """
    parts = Path("/", path).parts[1:]
    if ".." in parts:
        raise StageFailed(f"the path {path} leaves the image")
    current, pending, links = tree, list(reversed(parts)), 0
    while pending:
        part = pending.pop()
        if part == "..":
            if current == tree:
                raise StageFailed(f"the link at {path} leads out of the image")
            current = current.parent
            continue
        if not (current / part).is_symlink():
            current = current / part
            continue
        links += 1
        if links > MOST_LINKS:
            raise StageFailed(f"the links at {path} lead in a circle")
        link = (current / part).readlink()
        current = tree if link.is_absolute() else current
        pending += reversed([p for p in link.parts if p != "/"])
    return current


def unpack(job: Job, archive: Path, target: Path) -> None:
    """Unpack a tar archive of any compression tar knows; owners by number, no path escapes."""
    job.run(
        [
            "tar",
            "--extract",
            f"--file={archive}",
            f"--directory={target}",
            "--numeric-owner",
            "--preserve-permissions",
            "--same-owner",
            "--delay-directory-restore",
            "--keep-directory-symlink",
            "--xattrs",
            "--xattrs-include=*",
            "--acls",
        ]
    )


def unpack_archive(job: Job, tree: Path, archive: UnpackArchive) -> None:
    """`<archive>`: unpack below its target folder."""
    target = inside(tree, archive.target)
    target.mkdir(parents=True, exist_ok=True)
    unpack(job, job.source(archive.archive), target)


def overlay(source: Path, tree: Path) -> None:
    """Copy a folder of the description over the tree: its modes, root as owner, existing
    links to folders followed, existing folders' owners kept."""
    for path in sorted(source.rglob("*")):
        target = inside(tree, str(path.parent.relative_to(source))) / path.name
        if path.is_symlink():
            _make_room(target)
            target.symlink_to(path.readlink())
        elif path.is_dir():
            target = inside(tree, str(path.relative_to(source)))
            if not target.is_dir():
                if target.exists():
                    raise StageFailed(
                        f"{path.name} is a folder in the overlay tree and a file in the image"
                    )
                target.mkdir(parents=True)
                target.chmod(meant_mode(path.stat().st_mode))
        else:
            _make_room(target)
            shutil.copyfile(path, target)
            target.chmod(meant_mode(path.stat().st_mode))


def _make_room(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        raise StageFailed(f"{target.name} is a folder in the image and not in the overlay tree")
    target.unlink(missing_ok=True)


def place_file(job: Job, tree: Path, item: PlaceFile) -> None:
    """`<file>`: copy one file, with owner and mode as the description says."""
    source = job.source(item.source)
    target = inside(tree, item.target)
    if item.target.endswith("/") or target.is_dir():
        target = inside(tree, f"{item.target}/{source.name}")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    user, _, group = item.owner.partition(":")
    os.chown(target, _number(tree, "passwd", user), _number(tree, "group", group or user))
    target.chmod(item.mode if item.mode is not None else meant_mode(source.stat().st_mode))


def _number(tree: Path, table: str, name: str) -> int:
    if name.isdigit():
        return int(name)
    for line in (tree / "etc" / table).read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return int(fields[2])
    raise StageFailed(f"the image has no {'user' if table == 'passwd' else table} called {name}")
