"""Trees for squashfs, made of data or of files, and what an image has, in one form."""

from __future__ import annotations

import io
import os
import random
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from kiwilite.build.tree_nodes import tree_nodes
from kiwilite.ondisk.squashfs.codec import Codec, Zstd
from kiwilite.ondisk.squashfs.inodes import DeviceBody, FileBody
from kiwilite.ondisk.squashfs.known_blocks import IndexedImage, KnownBlocks
from kiwilite.ondisk.squashfs.reader import SquashfsReader
from kiwilite.ondisk.squashfs.survey import Noted
from kiwilite.ondisk.squashfs.tree import (
    Device,
    Endpoint,
    Folder,
    Node,
    RegularFile,
    SymbolicLink,
    Tree,
)
from kiwilite.ondisk.squashfs.writer import NOTHING, Settings, Written, write

EPOCH = 1_700_000_000
BLOCK = 4096
FAST = Zstd(3)
KINDS = {"block": 4, "character": 5, "fifo": 6, "socket": 7}

Described = tuple[object, ...]
"""Kind, mode, owner, time, links, attributes, and content, target or device number."""


def image_of(
    folder: Path,
    *,
    tree: Tree | None = None,
    codec: Codec = FAST,
    block: int = BLOCK,
    known: KnownBlocks | None = None,
    noted: Noted = NOTHING,
) -> tuple[bytes, Written]:
    """An image of `folder`, and what is said of it."""
    stream = io.BytesIO()
    nodes = tree or tree_nodes(folder, emptied=(), epoch=EPOCH)
    settings = Settings(block, codec, EPOCH)
    written = write(nodes, folder, stream, settings, known or KnownBlocks(), noted=noted)
    return stream.getvalue(), written


def keep(image: bytes, written: Written, folder: Path) -> IndexedImage:
    """An image and its index as files below `folder`."""
    folder.mkdir()
    (folder / "image").write_bytes(image)
    (folder / "blocks").write_bytes(written.index)
    return IndexedImage(folder / "image", folder / "blocks")


def described(raw: bytes) -> dict[bytes, Described]:
    """Everything that our reader finds, by path."""
    reader = SquashfsReader.open(io.BytesIO(raw))
    found: dict[bytes, Described] = {}
    for path, inode in reader.walk():
        content: object = inode.body if isinstance(inode.body, bytes) else None
        if isinstance(inode.body, FileBody):
            content = b"".join(reader.blocks(inode.body))
        elif isinstance(inode.body, DeviceBody):
            content = inode.body.number
        found[path] = (
            *(inode.kind, inode.mode, reader.owner(inode), inode.mtime, inode.links),
            *(reader.attributes(inode), content),
        )
    return found


def expected(tree: Tree, folder: Path) -> dict[bytes, Described]:
    """What an image of `tree` has to have, told without any code of the writer's."""
    names: dict[int, list[bytes]] = {0: [b""]}
    for number, node in enumerate(tree.nodes):
        if isinstance(node.body, Folder):
            (own,) = names[number]
            for name, child in node.body.children:
                names.setdefault(child, []).append(own + b"/" + name)
    found: dict[bytes, Described] = {}
    for number, node in enumerate(tree.nodes):
        kind, links = 0, len(names[number])
        content: object = None
        match node.body:
            case Folder(children):
                below = [tree.nodes[c].body for _, c in children]
                kind, links = 1, 2 + sum(isinstance(b, Folder) for b in below)
            case RegularFile(path):
                kind, content = 2, (folder / os.fsdecode(path)).read_bytes()
            case SymbolicLink(target):
                kind, content = 3, target
            case Device(what, major, minor):
                kind, content = KINDS[what], os.makedev(major, minor)
            case Endpoint(what):
                kind = KINDS[what]
        row = (kind, node.mode, (node.uid, node.gid), node.mtime, links, node.xattrs, content)
        found |= dict.fromkeys(names[number], row)
    return found


NAMES = st.binary(min_size=1, max_size=256).filter(
    lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b"..")
)
CONTENTS = st.one_of(
    st.binary(max_size=200),
    st.tuples(st.integers(0, 5 * BLOCK), st.integers(0, 3)).map(
        lambda row: random.Random(row[1]).randbytes(row[0])
    ),
    st.lists(st.sampled_from([bytes(BLOCK), b"a" * BLOCK, b"tail"]), max_size=5).map(b"".join),
)
XATTRS = st.dictionaries(
    st.sampled_from([b"user.colour", b"user.x", b"security.capability", b"trusted.overlay.y"]),
    st.binary(max_size=60),
    max_size=3,
).map(lambda row: tuple(sorted(row.items())))
LEAVES = st.one_of(
    CONTENTS,
    st.binary(min_size=1, max_size=300).map(SymbolicLink),
    st.builds(
        Device,
        st.sampled_from(["block", "character"]),
        st.integers(0, 4095),
        st.integers(0, (1 << 20) - 1),
    ),
    st.sampled_from(["fifo", "socket"]).map(Endpoint),  # type: ignore[arg-type]
)
SHAPES = st.recursive(
    LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=6), max_leaves=25
)
ATTRIBUTES = st.tuples(
    st.integers(0, 0o7777),
    st.sampled_from([0, 1000, 65534, (1 << 32) - 1]),
    st.sampled_from([0, 33]),
    st.integers(0, (1 << 32) - 1),
    XATTRS,
)


@st.composite
def trees(draw: st.DrawFn, folder: Path) -> Tree:
    """A tree whose files are made below `folder`, with some second names."""
    top = draw(st.dictionaries(NAMES, SHAPES, max_size=8))
    nodes: list[Node] = []
    pending: list[tuple[int, dict[bytes, Any]]] = [(0, top)]
    shapes: list[object] = [top]
    bodies: dict[int, Folder] = {}
    leaves: list[int] = []
    while pending:
        number, content = pending.pop(0)
        children = []
        for name in sorted(content):
            if leaves and draw(st.integers(0, 9)) == 0:
                children.append((name, draw(st.sampled_from(leaves))))
                continue
            child = len(shapes)
            shapes.append(content[name])
            children.append((name, child))
            inner = content[name]
            if isinstance(inner, dict):
                pending.append((child, inner))
            else:
                leaves.append(child)
        bodies[number] = Folder(tuple(children))
    for number, shape in enumerate(shapes):
        body = bodies.get(number) or shape
        if isinstance(body, bytes):
            path = b"%d" % number
            (folder / os.fsdecode(path)).write_bytes(body)
            body = RegularFile(path, len(body))
        assert isinstance(body, Folder | RegularFile | SymbolicLink | Device | Endpoint)
        nodes.append(Node(body, *draw(ATTRIBUTES)))
    return Tree(tuple(nodes))
