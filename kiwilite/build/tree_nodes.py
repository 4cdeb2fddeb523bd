"""A folder of the host as a tree for squashfs; only called from within the namespace."""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Collection
from pathlib import Path

from kiwilite.build.normalise import FOREIGN_XATTRS
from kiwilite.build.squashfs_content import labelled
from kiwilite.ondisk.squashfs.tree import (
    Body,
    Device,
    Endpoint,
    Folder,
    Node,
    RegularFile,
    SymbolicLink,
    Tree,
    Xattrs,
)
from kiwilite.ondisk.squashfs.xattrs import PREFIXES


def tree_nodes(folder: Path, *, emptied: Collection[bytes], epoch: int) -> Tree:
    """All below `folder`, folder by folder; those in `emptied` (relative paths) without content.

    No time stamp is later than `epoch`. Attributes that squashfs has no room for are left
    out: POSIX ACLs, which `build.acl` writes down elsewhere. Raises OSError, and StageFailed
    where a file carries attributes of the host.
    """
    base = os.fsencode(folder)
    found: list[tuple[bytes, os.stat_result]] = [(b"", folder.stat())]
    numbers: dict[tuple[int, int], int] = {}
    nodes: list[Node] = []
    pending = deque([0])
    while pending:
        number = pending.popleft()
        path, status = found[number]
        body: Body
        if stat.S_ISDIR(status.st_mode):
            children = []
            for name in [] if path in emptied else _names(base + b"/" + path):
                inner = path + b"/" + name if path else name
                below = os.lstat(base + b"/" + inner)
                identity = (below.st_dev, below.st_ino)
                child = numbers.get(identity)
                if child is None:
                    child = len(found)
                    found.append((inner, below))
                    pending.append(child)
                    if below.st_nlink > 1 and not stat.S_ISDIR(below.st_mode):
                        numbers[identity] = child
                children.append((name, child))
            body = Folder(tuple(children))
        else:
            body = _body(base, path, status)
        nodes.append(_node(body, status, _attributes(base + b"/" + path), epoch))
    return Tree(tuple(nodes))


def _names(folder: bytes) -> list[bytes]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _node(body: Body, status: os.stat_result, xattrs: Xattrs, epoch: int) -> Node:
    mtime = min(max(int(status.st_mtime), 0), epoch)
    return Node(body, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, mtime, xattrs)


def _body(base: bytes, path: bytes, status: os.stat_result) -> Body:
    device = os.major(status.st_rdev), os.minor(status.st_rdev)
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return RegularFile(path, status.st_size)
        case stat.S_IFLNK:
            # Path.readlink would tidy the target up: what stands there must stay as it is.
            return SymbolicLink(os.readlink(base + b"/" + path))  # noqa: PTH115
        case stat.S_IFBLK:
            return Device("block", *device)
        case stat.S_IFCHR:
            return Device("character", *device)
        case stat.S_IFIFO:
            return Endpoint("fifo")
        case _:
            return Endpoint("socket")


def _attributes(path: bytes) -> Xattrs:
    found = os.listxattr(path, follow_symlinks=False)
    if any(name in FOREIGN_XATTRS for name in found):
        raise labelled(Path(os.fsdecode(path)))
    names = sorted(os.fsencode(name) for name in found)
    return tuple(
        (name, os.getxattr(path, name, follow_symlinks=False))
        for name in names
        if name.startswith(PREFIXES)
    )
