"""What stands on each partition: the file system, and the devices between the two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kiwilite.description.model import ImageType, PartitionElement
from kiwilite.plan.disk import READ_ONLY, READ_WRITE, SQUASHFS, hash_partition

VERITY = "dm-verity"
CRYPT = "dm-crypt, authenticated"
INTEGRITY = "dm-integrity"
OVERLAY = "overlayfs"


@dataclass(frozen=True, slots=True)
class Volume:
    """A file system and what it stands on, down to the partition."""

    filesystem: str
    devices: tuple[str, ...]
    """From the file system downwards; empty where it stands on the partition itself."""
    partition: str | None
    """None: it is in memory."""
    mountpoint: str | None = None
    hashes: str | None = None
    """The partition with its hash tree, where that is another one."""


@dataclass(frozen=True, slots=True)
class Devices:
    """All of a disk: the root's two halves, and the description's own partitions in order."""

    lower: Volume | None
    """None: the image has no root of this kind."""
    upper: Volume | None
    trees: tuple[str, ...]
    """Directories that the overlay lies over; empty stands for all of `/`."""
    data: tuple[Volume, ...]


def devices(kind: ImageType) -> Devices:
    """What stands on what on a disk of `kind`."""
    data = tuple(_data(kind))
    overlay = kind.overlay
    if overlay is None:
        return Devices(None, None, (), data)
    lower = Volume(SQUASHFS, (VERITY,), READ_ONLY, "/", _hashes(kind, READ_ONLY))
    upper = Volume("tmpfs", (), None)
    if overlay.write_partition:
        upper = Volume(overlay.filesystem, (CRYPT, INTEGRITY), READ_WRITE)
    return Devices(lower, upper, overlay.trees, data)


def _data(kind: ImageType) -> Iterator[Volume]:
    for p in kind.partitions:
        if p.filesystem:
            hashes = _hashes(kind, p.name) if p.filesystem == SQUASHFS else None
            yield Volume(p.filesystem, _below(p), p.name, p.mountpoint, hashes)


def _below(partition: PartitionElement) -> tuple[str, ...]:
    if partition.filesystem == SQUASHFS:
        return (VERITY,)
    return (CRYPT, INTEGRITY) if partition.encrypted else ()


def _hashes(kind: ImageType, name: str) -> str | None:
    if kind.overlay is None or kind.overlay.verity.hash_tree == "appended":
        return None
    return hash_partition(name)
