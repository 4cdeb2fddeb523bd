"""A tree of files as squashfs can keep it: nodes, and folders that give them names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Xattrs = tuple[tuple[bytes, bytes], ...]
"""Names with their prefix, and values, in order of name."""


@dataclass(frozen=True, slots=True)
class Folder:
    """`children`: names in order of their bytes, and numbers of nodes."""

    children: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class RegularFile:
    """`path` is relative to the folder that the tree was read from; `size` in bytes."""

    path: bytes
    size: int


@dataclass(frozen=True, slots=True)
class SymbolicLink:
    """A symbolic link."""

    target: bytes


@dataclass(frozen=True, slots=True)
class Device:
    """A device node."""

    kind: Literal["block", "character"]
    major: int
    minor: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What processes meet at: only its name is kept."""

    kind: Literal["fifo", "socket"]


Body = Folder | RegularFile | SymbolicLink | Device | Endpoint


@dataclass(frozen=True, slots=True)
class Node:
    """What an inode says. `mode` has the permission bits only; `mtime` in seconds since 1970."""

    body: Body
    mode: int
    uid: int
    gid: int
    mtime: int
    xattrs: Xattrs = ()


@dataclass(frozen=True, slots=True)
class Tree:
    """`nodes[0]` is the root; parents stand before their children.

    A hard link is a second name of the same node. Folders have one name.
    """

    nodes: tuple[Node, ...]
