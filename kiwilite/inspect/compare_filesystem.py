"""Which files of two ext4 or XFS file systems stand where their blocks differ.

debugfs and xfs_db tell whose a block is. They work on copies of the first image's file
system, and of the second's where a block is nobody's in the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kiwilite.inspect.difference import Difference, Pair, Side
from kiwilite.inspect.source import scratch_folder
from kiwilite.inspect.tools import run
from kiwilite.ondisk import xfs

_MOST_BLOCKS: Final = 100
"""Of a file system, whose owner is asked for."""
NOBODY: Final = "free, or the file system's own"


def explain_ext4(pair: Pair) -> Iterator[Difference]:
    """One difference for each file, or kind of place. Raises HostError without debugfs."""
    size = 1024 << int.from_bytes(pair.one.read(1024 + 24, 4), "little")
    places = [first for first, _ in pair.scan.runs[:_MOST_BLOCKS]]
    blocks = [at // size for at in places]
    with scratch_folder() as scratch:
        names = _ext4_names(_extracted(pair.one, scratch / "one"), blocks)
        missing = [block for block in blocks if block not in names]
        if missing:
            names |= _ext4_names(_extracted(pair.other, scratch / "other"), missing)
    yield from _once(
        pair,
        ((at, "superblock" if 1024 <= at < 2048 else names.get(at // size, NOBODY))
         for at in places),
    )  # fmt: skip


def _extracted(side: Side, target: Path) -> Path:
    return side.disk.extract(side.start, side.size, target)


def _once(pair: Pair, rows: Iterator[tuple[int, str]]) -> Iterator[Difference]:
    """The first of those with the same name."""
    seen: set[str] = set()
    for at, name in rows:
        if name not in seen:
            seen.add(name)
            yield pair.difference("content", at, name)


def _ext4_names(copy: Path, blocks: list[int]) -> dict[int, str]:
    """Path by block, of those that are part of a file or folder."""
    words = " ".join(map(str, dict.fromkeys(blocks)))
    _, text = run("debugfs", "-R", f"icheck {words}", copy)
    inodes = dict(re.findall(r"^(\d+)\t(\d+)$", text, re.MULTILINE))
    if not inodes:
        return {}
    _, text = run("debugfs", "-R", f"ncheck {' '.join(sorted(set(inodes.values())))}", copy)
    paths = dict(re.findall(r"^(\d+)\t(/.*)$", text, re.MULTILINE))
    special = {"2": "/", "7": "space reserved for growth", "8": "journal"}
    return {
        int(block): re.sub("^//", "/", paths.get(inode, special.get(inode, f"inode {inode}")))
        for block, inode in inodes.items()
    }


def explain_xfs(pair: Pair) -> Iterator[Difference]:
    """One difference for each file, or kind of place. Raises HostError without xfs_db."""
    shape = xfs.XfsSuperblock.unpack(pair.one.read(0, xfs.SUPERBLOCK_BYTES))
    places = [first for first, _ in pair.scan.runs[:_MOST_BLOCKS]]
    asked = [at for at in places if _xfs_place(shape, at) is None]
    names: dict[int, str] = {}
    if asked:
        with scratch_folder() as scratch:
            copy = _extracted(pair.one, scratch / "one")
            names = dict(zip(asked, _xfs_names(copy, shape, asked), strict=False))
    yield from _once(pair, ((at, _xfs_place(shape, at) or names.get(at, NOBODY)) for at in places))


def _xfs_place(shape: xfs.XfsSuperblock, at: int) -> str | None:
    """Words for a byte at a place that is fixed: headers of allocation groups, the log."""
    group, inside = divmod(at, shape.group_blocks * shape.block_size)
    kinds = ("superblock", "AGF (free space)", "AGI (inodes)", "AGFL (free list)")
    if inside < 4 * shape.sector_size:
        return f"{kinds[inside // shape.sector_size]} of allocation group {group}"
    start, length = shape.log_extent()
    return "log" if start <= at < start + length else None


def _xfs_names(copy: Path, shape: xfs.XfsSuperblock, places: list[int]) -> Iterator[str]:
    """What xfs_db says of each byte's block: a path, or the kind of the block."""
    commands = ["-c", "blockget -n"]
    for at in places:
        commands += ["-c", f"daddr {at // shape.block_size * shape.block_size // 512}"]
        commands += ["-c", "blockuse -n"]
    _, text = run("xfs_db", "-r", "-f", *commands, copy)
    for kind, path in re.findall(r"^block \S+ \(\S+\) type (\S+)(?: inode \d+)?(.*)$", text, re.M):
        yield f"/{path.strip().lstrip('/')}" if path.strip() else f"block of type {kind}"
