"""Writes a squashfs: contents first, then the tables that tell where they are."""

from __future__ import annotations

import os
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.squashfs import inodes as i
from kiwilite.ondisk.squashfs.blocks import StoredBlocks, store
from kiwilite.ondisk.squashfs.codec import Codec
from kiwilite.ondisk.squashfs.directories import LONGEST_NAME, Entry, Listing, add_listing
from kiwilite.ondisk.squashfs.known_blocks import KnownBlocks, pack_index
from kiwilite.ondisk.squashfs.metadata import MetadataWriter, Place, plain_block, table_with_index
from kiwilite.ondisk.squashfs.packing import Packing, Placement, pack
from kiwilite.ondisk.squashfs.superblock import NO_TABLE, SIZE, Flags, SquashfsSuperblock
from kiwilite.ondisk.squashfs.survey import InOrder, Noted, survey
from kiwilite.ondisk.squashfs.tree import (
    Device,
    Endpoint,
    Folder,
    Node,
    RegularFile,
    SymbolicLink,
    Tree,
    Xattrs,
)
from kiwilite.ondisk.squashfs.xattrs import numbered, pack_xattrs

PADDING: Final = 4096
NOTHING: Final[Noted] = {}
_MOST_IDS: Final = 1 << 16
_KINDS: Final = {
    "block": i.BLOCK_DEVICE,
    "character": i.CHARACTER_DEVICE,
    "fifo": i.FIFO,
    "socket": i.SOCKET,
}


class UnfitTree(KiwiliteError):
    """The tree has something that squashfs has no room for."""


@dataclass(frozen=True, slots=True)
class Settings:
    """`block_size` is a power of two from 4096 to 1 MiB, `made_at` seconds since 1970."""

    block_size: int
    codec: Codec
    made_at: int


@dataclass(frozen=True, slots=True)
class Written:
    """`index` tells later images about this one's blocks (`known_blocks`); `reused` of the
    `blocks` came from an earlier one."""

    superblock: SquashfsSuperblock
    index: bytes
    blocks: int
    reused: int


def write(
    tree: Tree,
    folder: Path,
    target: BinaryIO,
    settings: Settings,
    known: KnownBlocks,
    in_order: InOrder = map,
    *,
    noted: Noted = NOTHING,
) -> Written:
    """Write `tree`, whose files stand below `folder`, into `target` from its start on.

    Padded to 4096 bytes. The result depends on tree, contents and settings, never on `known`
    or `in_order`. What is `noted` of contents has to be true: a block that `known` has is not
    looked at, any other is compared. Raises UnfitTree, ChangedFile and OSError.
    """
    _check(tree)
    numbers = {n: node.body for n, node in enumerate(tree.nodes)}
    files = {n: body for n, body in numbers.items() if isinstance(body, RegularFile)}
    order = sorted(files, key=lambda n: files[n].path)
    contents = [files[n] for n in order]
    digests = survey(folder, contents, settings.block_size, noted, in_order)
    packing = pack(contents, digests, settings.block_size)
    options = settings.codec.options()
    target.write(bytes(SIZE) + (plain_block(options) if options else b""))
    stored = store(folder, packing.blocks, settings.codec, known, target, in_order)
    placements = dict(zip(order, packing.files, strict=True))
    superblock = _Tables(tree, settings, packing, placements, stored).write(target)
    target.seek(0)
    target.write(superblock.pack())
    index = pack_index(stored.rows, settings.codec.identity())
    return Written(superblock, index, len(stored.rows), stored.reused)


def _check(tree: Tree) -> None:
    for node in tree.nodes:
        if isinstance(node.body, Folder):
            for name, _ in node.body.children:
                if len(name) > LONGEST_NAME:
                    text = os.fsdecode(name)
                    raise UnfitTree(f"the name {text!r} has more than {LONGEST_NAME} bytes")
    if len({n.uid for n in tree.nodes} | {n.gid for n in tree.nodes}) > _MOST_IDS:
        raise UnfitTree(f"the tree's files have more than {_MOST_IDS} different owners")


@dataclass(slots=True)
class _Tables:
    tree: Tree
    settings: Settings
    packing: Packing
    placements: dict[int, Placement]
    stored: StoredBlocks

    def write(self, target: BinaryIO) -> SquashfsSuperblock:
        """Append all tables and the padding; the superblock that tells where they are."""
        nodes, codec = self.tree.nodes, self.settings.codec
        ids = _ids(nodes)
        sets = numbered(node.xattrs for node in nodes)
        inode_table, directory_table = MetadataWriter(codec), MetadataWriter(codec)
        places = self._add_inodes(inode_table, directory_table, ids, sets)
        inodes = target.tell()
        directories = inodes + target.write(inode_table.finished())
        target.write(directory_table.finished())
        fragments = _put(target, self._fragment_rows(), codec)
        export = _put(target, [struct.pack("<Q", p.packed()) for p in places], codec)
        id_table = _put(target, [struct.pack("<I", number) for number in ids], codec)
        xattrs = NO_TABLE
        if sets:
            at = target.tell()
            table = pack_xattrs(sets, codec, at)
            target.write(table.data)
            xattrs = at + table.head
        used = target.tell()
        target.write(bytes(-used % PADDING))
        return SquashfsSuperblock(
            inodes=len(nodes),
            made_at=self.settings.made_at,
            block_size=self.settings.block_size,
            compressor=codec.name,
            bytes_used=used,
            fragments=self.packing.fragments,
            flags=codec.flags | Flags.EXPORT | Flags.DUPLICATES,
            ids=len(ids),
            root=places[0].packed(),
            id_table=id_table,
            xattr_table=xattrs,
            inode_table=inodes,
            directory_table=directories,
            fragment_table=fragments,
            export_table=export,
        )

    def _fragment_rows(self) -> list[bytes]:
        first = len(self.stored.rows) - self.packing.fragments
        return [struct.pack("<QII", r.offset, r.word, 0) for r in self.stored.rows[first:]]

    def _add_inodes(
        self,
        table: MetadataWriter,
        directories: MetadataWriter,
        ids: dict[int, int],
        sets: dict[Xattrs, int],
    ) -> list[Place]:
        """Where each node's inode stands.

        A listing says where inodes are, and a folder's inode where its listing is: so the
        deepest come first, and what is in a folder stands together.
        """
        nodes = self.tree.nodes
        parents, links = _relations(self.tree)
        places: dict[int, Place] = {}
        listings: dict[int, Listing] = {}

        def add(n: int) -> None:
            node = nodes[n]
            # The root's parent has a number that no inode has.
            body = self._body(n, listings, parents.get(n, len(nodes)) + 1)
            owner = ids[node.uid], ids[node.gid]
            xattrs = sets[node.xattrs] if node.xattrs else i.NOTHING
            inode = i.Inode(
                *(_kind(node), node.mode, *owner, node.mtime, n + 1, links[n], body, xattrs)
            )
            places[n] = table.add(inode.pack())

        for n in reversed(range(len(nodes))):
            folder = nodes[n].body
            if isinstance(folder, Folder):
                entries = []
                for name, child in folder.children:
                    if child not in places:
                        add(child)
                    entries.append(Entry(name, places[child], child + 1, _kind(nodes[child])))
                listings[n] = add_listing(directories, entries)
        add(0)
        return [places[n] for n in range(len(nodes))]

    def _body(
        self, n: int, listings: dict[int, Listing], parent: int
    ) -> i.FolderBody | i.FileBody | i.DeviceBody | bytes | None:
        match self.tree.nodes[n].body:
            case Folder():
                found = listings[n]
                return i.FolderBody(found.place, found.size, parent, found.indexes)
            case RegularFile() as file:
                return self._file(file, self.placements[n])
            case SymbolicLink(target):
                return target
            case Device(_, major, minor):
                return i.DeviceBody(minor & 0xFF | major << 8 | (minor & ~0xFF) << 12)
            case Endpoint():
                return None

    def _file(self, file: RegularFile, placement: Placement) -> i.FileBody:
        if placement.fragment is not None:
            return i.FileBody(0, file.size, (), 0, placement.fragment, placement.offset)
        rows, size = self.stored.rows, self.settings.block_size
        own = [None if b is None else rows[b] for b in placement.blocks]
        start = next((row.offset for row in own if row is not None), 0)
        words = tuple(row.word if row is not None else 0 for row in own)
        lengths = (min(size, file.size - n * size) for n, row in enumerate(own) if row is None)
        return i.FileBody(start, file.size, words, sum(lengths))


def _put(target: BinaryIO, rows: list[bytes], codec: Codec) -> int:
    """Append a table of rows; where its index stands."""
    blocks, index = table_with_index(rows, codec, target.tell())
    at = target.tell() + len(blocks)
    target.write(blocks + index)
    return at


def _ids(nodes: tuple[Node, ...]) -> dict[int, int]:
    """Each user and group id with its row in the id table."""
    distinct = dict.fromkeys(number for node in nodes for number in (node.uid, node.gid))
    return {number: row for row, number in enumerate(distinct)}


def _relations(tree: Tree) -> tuple[dict[int, int], Counter[int]]:
    """The parent of each folder but the root, and how many names lead to each node."""
    parents: dict[int, int] = {}
    links: Counter[int] = Counter()
    for n, node in enumerate(tree.nodes):
        if isinstance(node.body, Folder):
            folders = [c for _, c in node.body.children if _kind(tree.nodes[c]) == i.FOLDER]
            parents.update(dict.fromkeys(folders, n))
            links.update(c for _, c in node.body.children)
            links[n] = 2 + len(folders)
    return parents, links


def _kind(node: Node) -> int:
    match node.body:
        case Folder():
            return i.FOLDER
        case RegularFile():
            return i.FILE
        case SymbolicLink():
            return i.LINK
        case Device(kind) | Endpoint(kind):
            return _KINDS[kind]
