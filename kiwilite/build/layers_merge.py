"""Makes one tree of the two layers of an overlayfs that is not mounted any more.

The upper layer becomes the tree; what it neither has nor hides is linked into it.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.normalise import FOREIGN_XATTRS

OWN = "user.overlay."
"""Attributes with which overlayfs says what a layer means. One that is meant to be in the tree
stands as `user.overlay.overlay.NAME` in the layer."""
_ESCAPE = "overlay."
_OPAQUE = f"{OWN}opaque"


@dataclass(frozen=True, slots=True)
class _Folder:
    """`path` is relative to the tree."""

    path: str
    lower: bool
    """Whether it shows what the lower layer has there."""
    upper: bool
    """Whether it was in the upper layer."""


def merge(lower: Path, tree: Path) -> None:
    """Make `tree`, which was the upper layer, what both layers together showed. Raises OSError."""
    pending = [_Folder("", lower=True, upper=True)]
    while pending:
        pending += _complete(str(lower), str(tree), pending.pop())


def _complete(lower: str, tree: str, folder: _Folder) -> list[_Folder]:
    """Fill a folder in; those below it that are left to do."""
    below, here = f"{lower}/{folder.path}", f"{tree}/{folder.path}"
    before = Path(here).stat()
    found: list[_Folder] = []
    names = _below(below) if folder.lower else {}
    if folder.upper:
        for name, entry in _below(here).items():
            path = f"{folder.path}{name}"
            beneath = names.pop(name, None)
            if entry.is_dir(follow_symlinks=False):
                merged = beneath is not None and beneath.is_dir(follow_symlinks=False)
                seen = merged and not _opaque(entry.path)
                found.append(_Folder(f"{path}/", lower=seen, upper=True))
            elif _whiteout(entry):
                Path(entry.path).unlink()
            else:
                _clear(entry.path)
    for name, entry in names.items():
        if entry.is_dir(follow_symlinks=False):
            Path(here, name).mkdir(0o700)
            found.append(_Folder(f"{folder.path}{name}/", lower=True, upper=False))
        else:
            _link(entry.path, here + name)
    # Last, since each name put into a folder changes its time.
    if folder.upper:
        _clear(here)
        os.utime(here, ns=(before.st_atime_ns, before.st_mtime_ns))
    else:
        take_along(below, here)
    return found


def _below(folder: str) -> dict[str, os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return {entry.name: entry for entry in entries}


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
