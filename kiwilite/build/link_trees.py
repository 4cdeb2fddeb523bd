"""Trees of hard links, and what overlayfs wrote over one put into it.

Source: Documentation/filesystems/overlayfs.rst of Linux. A whiteout is a character device
0:0 and hides a name of the lower layer; a folder with user.overlay.opaque hides all that the
lower one has.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from kiwilite.build.normalise import FOREIGN_XATTRS

OWN = "user.overlay."
"""Attributes with which overlayfs says what a layer means. One that is meant to be in the tree
stands as `user.overlay.overlay.NAME` in the layer."""
_ESCAPE = "overlay."
_OPAQUE = f"{OWN}opaque"


def link_tree(source: Path, target: Path) -> None:
    """Make `target` a tree of hard links to what is in `source`, with folders of its own.

    Raises OSError.
    """
    target.mkdir(0o700)
    pending = [(str(source), str(target))]
    while pending:
        folder, copied = pending.pop()
        for name, entry in _below(folder).items():
            path = f"{copied}/{name}"
            if entry.is_dir(follow_symlinks=False):
                Path(path).mkdir(0o700)
                pending.append((entry.path, path))
            else:
                _link(entry.path, path)
        # Last, since each name put into a folder changes its time.
        take_along(folder, copied)


def put_in(upper: Path, tree: Path) -> None:
    """Make `tree`, which was the lower layer, what both layers together showed.

    `upper` is used up. Raises OSError.
    """
    pending = [(str(upper), str(tree))]
    while pending:
        folder, shown = pending.pop()
        status, there = Path(folder).stat(), _below(shown)
        for name, entry in _below(folder).items():
            path, before, whiteout = f"{shown}/{name}", there.get(name), _whiteout(entry)
            if entry.is_dir(follow_symlinks=False):
                if before and before.is_dir(follow_symlinks=False) and not _opaque(entry.path):
                    pending.append((entry.path, path))
                    continue
                _tidy(entry.path)
            elif not whiteout:
                _clear(entry.path)
            if before:
                _remove(before)
            if not whiteout:
                Path(entry.path).rename(path)
        os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))
        _clear(folder)
        take_along(folder, shown)


def _below(folder: str) -> dict[str, os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return {entry.name: entry for entry in entries}


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path)
    else:
        Path(entry.path).unlink()


def _tidy(folder: str) -> None:
    """Clear a folder of the upper layer that hides what is below it, and all that is in it."""
    status = Path(folder).stat()
    for entry in _below(folder).values():
        if entry.is_dir(follow_symlinks=False):
            _tidy(entry.path)
        elif _whiteout(entry):
            Path(entry.path).unlink()
        else:
            _clear(entry.path)
    _clear(folder)
    os.utime(folder, ns=(status.st_atime_ns, status.st_mtime_ns))


def _whiteout(entry: os.DirEntry[str]) -> bool:
    if entry.is_file(follow_symlinks=False) or entry.is_symlink():
        return False
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _opaque(folder: str) -> bool:
    return _OPAQUE in os.listxattr(folder) and os.getxattr(folder, _OPAQUE) == b"y"


def _clear(path: str) -> None:
    """Take away what overlayfs has written on a file, and give back what it has put aside."""
    for name in os.listxattr(path, follow_symlinks=False):
        if name.startswith(OWN):
            meant = name.removeprefix(OWN)
            if meant.startswith(_ESCAPE):
                value = os.getxattr(path, name, follow_symlinks=False)
                os.setxattr(path, OWN + meant.removeprefix(_ESCAPE), value, follow_symlinks=False)
            os.removexattr(path, name, follow_symlinks=False)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        # A file has as many names as the file system counts up to: 65000 in ext4.
        if error.errno != errno.EMLINK:
            raise
        copy(source, target)


def copy(source: str, target: str) -> None:
    """Copy a file, link, fifo or socket with all that belongs to it."""
    mode = os.lstat(source).st_mode
    if stat.S_ISLNK(mode):
        # Path.readlink would tidy the target up.
        os.symlink(os.readlink(source), target)  # noqa: PTH115, PTH211
    elif stat.S_ISREG(mode):
        shutil.copyfile(source, target)
    else:
        os.mknod(target, stat.S_IFMT(mode) | 0o600)
    take_along(source, target)


def take_along(source: str, target: str) -> None:
    """Give `target` the owner, mode, times and extended attributes of `source`."""
    status = os.lstat(source)
    os.lchown(target, status.st_uid, status.st_gid)
    names = os.listxattr(source, follow_symlinks=False)
    for name in os.listxattr(target, follow_symlinks=False):
        if name not in names and name not in FOREIGN_XATTRS:  # the default ACL of its folder
            os.removexattr(target, name, follow_symlinks=False)
    for name in names:
        if name not in FOREIGN_XATTRS:
            value = os.getxattr(source, name, follow_symlinks=False)
            os.setxattr(target, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        Path(target).chmod(stat.S_IMODE(status.st_mode))
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns), follow_symlinks=False)
