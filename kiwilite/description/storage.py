"""Partitions and sizes that cannot work, found before anything is built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import ImageType
from kiwilite.description.tree import Node
from kiwilite.description.values import MIB, size_bytes

XFS_LEAST: Final = 300 * MIB
"""mkfs.xfs refuses less."""

XFS_ON_INTEGRITY_LEAST: Final = 321 * MIB
"""A partition of 321 MiB has 300 MiB left beside LUKS header, tags and journal."""

BIOS_BOOT: Final = 2 * MIB
TABLES: Final = 2 * MIB
"""Both partition tables and the alignment around them."""

DEFAULT_EFIPARTSIZE: Final = 20 * MIB


def check_partitions(image_type: Node) -> Iterator[Diagnostic]:
    """Names and mount points used twice, mount points that are none, XFS without room."""
    partitions = [p for section in image_type.all("partitions") for p in section.all("partition")]
    yield from _twice(partitions, "name", "KL0402", "the partition name")
    yield from _twice(partitions, "partition_name", "KL0402", "the partition name")
    yield from _twice(partitions, "mountpoint", "KL0401", "the mount point")
    for partition in partitions:
        yield from _mount_point(partition)
        size = size_bytes(partition.get("size") or "")
        if partition.get("filesystem") == "xfs" and size is not None and size < XFS_LEAST:
            least = XFS_LEAST // MIB
            message = f"an XFS file system needs {least} MiB, this partition has {size // MIB}"
            yield Diagnostic(partition.attribute_span("size"), "error", "KL0403", message)


def _mount_point(partition: Node) -> Iterator[Diagnostic]:
    path = partition.get("mountpoint")
    if path is None:
        return
    span = partition.attribute_span("mountpoint")
    if not path.startswith("/") or ".." in path.split("/"):
        message = f"the mount point `{path}` is not an absolute path"
        yield Diagnostic(span, "error", "KL0406", message, "it begins with `/` and has no `..`")
    elif _normal(path) == "/":
        message = "the mount point `/` is that of the root"
        yield Diagnostic(span, "error", "KL0401", message)


def _normal(path: str) -> str:
    """`path` without doubled and trailing slashes."""
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _twice(nodes: list[Node], attribute: str, code: str, what: str) -> Iterator[Diagnostic]:
    seen: dict[str, Node] = {}
    for node in nodes:
        value = node.get(attribute)
        if value is None:
            continue
        key = _normal(value) if attribute == "mountpoint" else value
        first = seen.setdefault(key, node)
        if first is not node:
            line = first.attribute_span(attribute).line
            message = f"{what} `{value}` is already used at line {line}"
            yield Diagnostic(node.attribute_span(attribute), "error", code, message)


def check_overlay_room(image_type: ImageType) -> Iterator[Diagnostic]:
    """An XFS overlay for which a disk of fixed size leaves too little.

    The read-only root has no size yet, so only what is certain counts: where even
    without the root too little is left, the description cannot be built.
    """
    size, overlay = image_type.size, image_type.overlay
    if size is None or size.additive or overlay is None or not overlay.write_partition:
        return
    if overlay.filesystem != "xfs":
        return
    needed = XFS_ON_INTEGRITY_LEAST if overlay.luks else XFS_LEAST
    taken = size.unpartitioned + BIOS_BOOT + TABLES + sum(p.size for p in image_type.partitions)
    taken += DEFAULT_EFIPARTSIZE if image_type.efipartsize is None else image_type.efipartsize
    left = size.bytes - taken
    if left < needed:
        yield Diagnostic(
            size.span,
            "error",
            "KL0403",
            f"the XFS overlay needs {needed // MIB} MiB, but of {size.bytes // MIB} MiB all other "
            f"partitions leave {max(0, left) // MIB} MiB for it and the read-only root",
            "make the disk larger or the partitions smaller",
        )
