"""Sizes that cannot fit, whatever the packages turn out to be.

Contents have no size yet, so lower bounds stand for them: what is reported here cannot be
built; what is not may still turn out too small.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.model import ImageType, PartitionElement
from kiwilite.description.storage import (
    BIOS_BOOT,
    DEFAULT_EFIPARTSIZE,
    TABLES,
    overlay_least,
)
from kiwilite.description.tree import Node
from kiwilite.description.values import MIB, number

ROOT_LEAST: Final = 32 * MIB
"""A squashfs of a kernel's modules, apt and what they need is never smaller."""

ESP_LEAST: Final = 16 * MIB
"""A kernel and an initrd with tools for the volumes are never smaller."""

JOURNAL_LEAST: Final = 8 * MIB
"""mke2fs makes no journal in an ext3 or ext4 with fewer than 2048 blocks of 4096 bytes."""

MOST_FILES: Final = 20_000
"""So many files of the overlay trees are looked at."""


def check_room(kind: ImageType, node: Node, trees: Sequence[Path]) -> Iterator[Diagnostic]:
    """The disk, the ESP and the data partitions of `kind`, against what they have to hold.

    `node` is its `<type>`; `trees` are the folders that are laid over the root tree.
    """
    yield from _esp(kind, node)
    written = node.first("size")
    if written is not None and number(written.text) is not None:
        yield from _disk(kind)
    for partition in kind.partitions:
        yield from _data(partition, kind, trees)


def _esp(kind: ImageType, node: Node) -> Iterator[Diagnostic]:
    least = ESP_LEAST * (2 if kind.bios else 1)
    if kind.efipartsize and kind.efipartsize < least:
        copies = ", which it has twice for a legacy BIOS" if kind.bios else ""
        message = f"an ESP of {kind.efipartsize // MIB} MiB has no room for kernel and initrd"
        hint = f'leave efipartsize="{kind.efipartsize // MIB}" out: the ESP is as its content'
        yield fault(node, "efipartsize", "KL0422", f"{message}{copies}", hint)


def _disk(kind: ImageType) -> Iterator[Diagnostic]:
    """A disk of fixed size that cannot hold its partitions, a root, and an overlay's volume."""
    size, overlay = kind.size, kind.overlay
    if size is None or size.additive or overlay is None:
        return
    taken = size.unpartitioned + BIOS_BOOT + TABLES
    taken += sum(max(p.size, MIB) for p in kind.partitions)
    taken += max(kind.efipartsize or DEFAULT_EFIPARTSIZE, ESP_LEAST)
    left = max(0, size.bytes - taken)
    needed = ROOT_LEAST
    hint = "make the disk larger or the partitions smaller, or leave `<size>` out"
    if overlay.write_partition and overlay.filesystem == "xfs":
        needed += overlay_least(overlay)
        what = f"the XFS overlay needs {overlay_least(overlay) // MIB} MiB, and the root more than "
        what += f"{ROOT_LEAST // MIB} MiB"
        code = "KL0403"
    else:
        what, code = f"the root needs more than {ROOT_LEAST // MIB} MiB", "KL0421"
    if left < needed:
        message = f"{what}, but of {size.bytes // MIB} MiB all other partitions leave "
        yield Diagnostic(size.span, "error", code, f"{message}{left // MIB} MiB", hint)


def _data(
    partition: PartitionElement, kind: ImageType, trees: Sequence[Path]
) -> Iterator[Diagnostic]:
    if partition.filesystem in (None, "squashfs") or not partition.size:
        return
    have = f"the partition {partition.name} has {partition.size // MIB} MiB"
    if partition.filesystem in ("ext3", "ext4") and partition.size < JOURNAL_LEAST:
        message = f"{have}: {partition.filesystem} gets no journal below {JOURNAL_LEAST // MIB} MiB"
        hint = "make it larger, or have ext2 and a check after each power cut"
        yield Diagnostic(partition.span, "warning", "KL0423", message, hint)
    content = _content(partition, kind, trees)
    if content > partition.size:
        message = f"{have}; the overlay tree alone puts {-(-content // MIB)} MiB there"
        hint = "make it larger"
        yield Diagnostic(partition.span, "error", "KL0423", message, hint)


def _content(partition: PartitionElement, kind: ImageType, trees: Sequence[Path]) -> int:
    """Bytes of the regular files that the overlay trees have below the mount point."""
    folder = (partition.mountpoint or "").strip("/")
    if not folder or ".." in folder.split("/"):
        return 0
    others = {(p.mountpoint or "").strip("/") for p in kind.partitions} - {folder}
    sizes: dict[str, int] = {}
    for tree in trees:
        sizes.update(_files(tree, tree / folder, others))
    return sum(sizes.values())


def _files(tree: Path, folder: Path, others: set[str]) -> dict[str, int]:
    """Sizes by path in the image; what is on `others`, partitions of their own, does not count."""
    sizes: dict[str, int] = {}
    for here, folders, files in os.walk(folder):
        inside = Path(here).relative_to(tree)
        folders[:] = [name for name in folders if str(inside / name) not in others]
        for name in files:
            path = Path(here, name)
            if not path.is_symlink() and len(sizes) < MOST_FILES:
                sizes[str(inside / name)] = path.stat().st_size
    return sizes
