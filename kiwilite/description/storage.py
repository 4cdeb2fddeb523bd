"""Partitions and sizes that cannot work, found before anything is built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.luks import luksformat_options, xfs_least
from kiwilite.description.model import Overlay
from kiwilite.description.tree import Node
from kiwilite.description.values import MIB, boolean, size_bytes, truth, writes_to_partition

XFS_LEAST: Final = 300 * MIB
"""mkfs.xfs refuses less."""

BIOS_BOOT: Final = 2 * MIB
TABLES: Final = 2 * MIB
"""Both partition tables and the alignment around them."""

ENCRYPTED_LEAST: Final = 24 * MIB
"""Of these, header, tags and journal leave 6 to 8 MiB for an ext4 with a journal of its own."""

DEFAULT_EFIPARTSIZE: Final = 20 * MIB
"""An ESP without a size is as large as its content, which no kernel leaves smaller."""

LONGEST_LABEL: Final = {"xfs": 12, "ext2": 16, "ext3": 16, "ext4": 16}
"""Bytes."""

_OPTION: Final = re.compile(r"[A-Za-z0-9_.-]+(=[^\s,]+)?")
_PATH: Final = re.compile(r"(/[A-Za-z0-9_@%+.-]+)+")


def check_partitions(image_type: Node) -> Iterator[Diagnostic]:
    """Names and mount points used twice, and what a single partition cannot be."""
    partitions = _partitions(image_type)
    yield from _twice(partitions, "name", "KL0402", "the partition name")
    yield from _twice(partitions, "partition_name", "KL0402", "the partition name")
    yield from _twice(partitions, "mountpoint", "KL0401", "the mount point")
    for partition in partitions:
        yield from _mount_point(partition)
        yield from _room(partition, image_type)
        yield from _label(partition)
        yield from _file_system(partition)
        yield from _made_anew(partition, partitions)
        yield from _mount_options(partition)


def _partitions(image_type: Node) -> list[Node]:
    return [p for section in image_type.all("partitions") for p in section.all("partition")]


def _room(partition: Node, image_type: Node) -> Iterator[Diagnostic]:
    """A size that is too small whatever is in it."""
    kind = partition.get("filesystem")
    size = size_bytes(partition.get("size") or "")
    if size == 0 and kind != "squashfs":
        yield fault(partition, "size", "KL0403", "a partition without room")
    elif size is not None and kind == "xfs":
        least = _xfs_least(image_type) if boolean(partition, "encrypted") else XFS_LEAST
        if size < least:
            encrypted = "encrypted " if least != XFS_LEAST else ""
            message = f"an {encrypted}XFS file system needs {least // MIB} MiB"
            message += f", this partition has {size // MIB}"
            yield fault(partition, "size", "KL0403", message)
    elif size is not None and boolean(partition, "encrypted") and size < ENCRYPTED_LEAST:
        message = f"an encrypted partition needs {ENCRYPTED_LEAST // MIB} MiB"
        yield fault(partition, "size", "KL0403", f"{message}, this one has {size // MIB}")


def _xfs_least(image_type: Node) -> int:
    return xfs_least(luksformat_options(image_type), image_type.get("provisioning") or "")


def _label(partition: Node) -> Iterator[Diagnostic]:
    label, kind = partition.get("label"), partition.get("filesystem") or ""
    most = LONGEST_LABEL.get(kind)
    if label is None or most is None:
        return
    if not re.fullmatch("[!-~]+", label) or len(label) > most:
        message = f"the label of {kind} is at most {most} letters, digits and signs"
        yield fault(partition, "label", "KL0419", message)


def _file_system(partition: Node) -> Iterator[Diagnostic]:
    """A mount point without a file system, and a squashfs of nothing."""
    kind = partition.get("filesystem")
    if kind is None and "mountpoint" in partition.attributes:
        message = "`mountpoint` of `<partition>` needs `filesystem`"
        yield fault(partition, "mountpoint", "KL0702", message)
    if kind == "squashfs" and "mountpoint" not in partition.attributes:
        message = "a squashfs holds what stands below its mount point; it needs `mountpoint`"
        yield fault(partition, "filesystem", "KL0702", message)


def _made_anew(partition: Node, partitions: list[Node]) -> Iterator[Diagnostic]:
    """`encrypted` and `reset`, which need a file system that can be made on the device."""
    kind = partition.get("filesystem")
    wanted = [name for name in ("encrypted", "reset") if boolean(partition, name)]
    yield from _inside_another(partition, wanted, partitions)
    for name in wanted:
        if kind == "squashfs":
            message = f"a squashfs partition cannot be `{name}`: it is read-only and verified"
            yield fault(partition, name, "KL0415", message, "choose ext4 or xfs, or leave it out")
        elif kind in ("ext2", "ext3"):
            message = f"`{name}` means that the device makes the file system, which is ext4 or xfs"
            yield fault(partition, name, "KL0415", message, "choose one of them, or leave it out")
        elif kind is None or "mountpoint" not in partition.attributes:
            message = f"`{name}` of `<partition>` needs `filesystem` and `mountpoint`"
            yield fault(partition, name, "KL0702", message)


def _inside_another(
    partition: Node, wanted: list[str], partitions: list[Node]
) -> Iterator[Diagnostic]:
    """The root has the content of what a device fills, so the root must have its place."""
    path = _normal(partition.get("mountpoint") or "")
    for other in partitions if wanted else []:
        folder = _normal(other.get("mountpoint") or "")
        if other is not partition and folder != "/" and path.startswith(f"{folder}/"):
            line = other.attribute_span("mountpoint").line
            message = f"`{wanted[0]}` inside of another partition (line {line}) is not possible"
            yield fault(partition, wanted[0], "KL0415", message)


def _mount_options(partition: Node) -> Iterator[Diagnostic]:
    options = partition.get("mountoptions")
    if options is None:
        return
    wrong = next((o for o in options.split(",") if not _OPTION.fullmatch(o)), None)
    if wrong is not None:
        message = f"`{wrong}` is not a mount option; write NAME or NAME=VALUE, with commas between"
        yield fault(partition, "mountoptions", "KL0416", message)
    elif "mountpoint" not in partition.attributes:
        message = "`mountoptions` of `<partition>` needs `mountpoint`"
        yield fault(partition, "mountoptions", "KL0702", message)
    elif partition.get("filesystem") == "squashfs":
        message = "the initrd mounts a verified partition, with options of its own"
        yield fault(partition, "mountoptions", "KL0416", message, "leave `mountoptions` out")


def _mount_point(partition: Node) -> Iterator[Diagnostic]:
    path = partition.get("mountpoint")
    if path is None:
        return
    if not path.startswith("/") or ".." in path.split("/"):
        message = f"the mount point `{path}` is not an absolute path"
        hint = "it begins with `/` and has no `..`"
        yield fault(partition, "mountpoint", "KL0406", message, hint)
    elif _normal(path) == "/":
        message = "the mount point `/` is that of the root"
        yield fault(partition, "mountpoint", "KL0401", message)
    elif not _PATH.fullmatch(_normal(path)):
        message = f"the mount point `{path}` has characters that fstab and the boot cannot take"
        hint = "letters, digits and `_@%+.-` are fine"
        yield fault(partition, "mountpoint", "KL0406", message, hint)


def check_growth(image_type: Node) -> Iterator[Diagnostic]:
    """Growth is that of the partition the overlay writes to."""
    for section in image_type.all("oemconfig"):
        for wish in section.all("oem-resize", "oem-resize-once"):
            if truth(wish.text) and not writes_to_partition(image_type):
                message = f"`<{wish.name}>` has no effect: no overlay writes to a partition"
                hint = "leave it out, or give the overlay a partition that can grow"
                yield Diagnostic(wish.span, "warning", "KL0902", message, hint)


_KERNELS: Final = ("/dev", "/proc", "/run", "/sys")
"""Directories that the kernel and the boot fill."""


def check_trees(image_type: Node) -> Iterator[Diagnostic]:
    """`<overlay>`: directories that an overlay can lie over, each for itself."""
    sections = list(image_type.all("overlay"))
    if sections and not boolean(image_type, "overlayroot"):
        message = '`<overlay>` needs `overlayroot="true"` at its `<type>`'
        yield fault(sections[0], None, "KL0702", message)
    mounted = {
        _normal(p.get("mountpoint") or ""): p
        for p in _partitions(image_type)
        if p.get("mountpoint")
    }
    seen: dict[str, Node] = {}
    for tree in (tree for section in sections for tree in section.all("tree")):
        why = _no_tree(tree, mounted, seen)
        if why is not None:
            yield fault(tree, "path", "KL0414", *why)
        else:
            seen[_normal(tree.get("path") or "")] = tree


def _no_tree(
    tree: Node, mounted: dict[str, Node], seen: dict[str, Node]
) -> tuple[str, str | None] | None:
    """Why no overlay can lie over the directory, and what to do; None if one can."""
    written = tree.get("path") or ""
    path = _normal(written)
    if not written.startswith("/") or ".." in written.split("/"):
        return f"the tree `{written}` is not an absolute path", "it begins with `/`, without `..`"
    if path == "/":
        return "the tree `/` is what is written to without `<overlay>`", "leave `<overlay>` out"
    if not _PATH.fullmatch(path):
        hint = "letters, digits and `_@%+.-` are fine"
        return f"the tree `{written}` has characters that the boot cannot take", hint
    return _in_the_way(written, mounted, seen)


def _in_the_way(
    written: str, mounted: dict[str, Node], seen: dict[str, Node]
) -> tuple[str, str | None] | None:
    """What else is at the place of the tree `written`."""
    path = _normal(written)
    if any(_within(path, folder) for folder in _KERNELS):
        return f"`{written}` is not part of the image", None
    for folder, partition in mounted.items():
        if _within(path, folder):
            line = partition.attribute_span("mountpoint").line
            return f"`{written}` is on a partition of its own (line {line})", "leave it out"
    for other, node in seen.items():
        if _within(path, other) or _within(other, path):
            line = node.attribute_span("path").line
            return f"one of `{written}` and `{other}` (line {line}) is inside the other", None
    return None


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


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


def overlay_least(overlay: Overlay) -> int:
    """The least bytes of the partition that the overlay writes to."""
    if overlay.luks is None:
        return XFS_LEAST
    return xfs_least(dict(overlay.luks.options), overlay.luks.provisioning)
