"""Which partitions the appliance's disk has, in KIWI's names and order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import UUID

from kiwilite.description import partition_names, table
from kiwilite.description.model import Appliance, ImageType, PartitionElement
from kiwilite.description.storage import overlay_least
from kiwilite.plan.identity import derived_uuid
from kiwilite.plan.partitions import (
    MIB,
    Partition,
    PartitionSize,
)

TYPE_BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")
TYPE_ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
TYPE_LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

# Source: "The Discoverable Partitions Specification" of the UAPI group, as `systemd-id128 show`
# prints it.
_BY_ARCHITECTURE: Final = {
    "x86_64": {
        "/": UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
        "/usr": UUID("8484680c-9521-48c6-9c11-b0720656f69e"),
    },
    "aarch64": {
        "/": UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),
        "/usr": UUID("b0e01050-ee5f-4390-949a-9101b17104e9"),
    },
}
_HASHES_BY_ARCHITECTURE: Final = {
    "x86_64": {
        "/": UUID("2c7357ed-ebd2-46d9-aec1-23d437ec2bf5"),
        "/usr": UUID("77ff5f63-e7b6-4633-acf4-1565b864c0e6"),
    },
    "aarch64": {
        "/": UUID("df3300ce-d69f-4c92-978c-9bfb0f38d820"),
        "/usr": UUID("6e11a4e7-fbca-4ded-b9e9-e1a512bb664e"),
    },
}
_ANYWHERE: Final = {
    "/home": UUID("933ac7e1-2eb4-4f13-b844-0e14e2aef915"),
    "/srv": UUID("3b8f8425-20e0-4f3b-907f-1a25a76f98e8"),
    "/var": UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d"),
    "/var/tmp": UUID("7ec6f557-3bc5-4aca-b293-16ef5df639d1"),
}

GROWS_ONCE: Final = 1 << 59
"""Attribute of a partition that has not grown yet and may do so once: "grow file system" of
the Discoverable Partitions Specification. The boot clears it together with its growth.
"""

LEGACY = partition_names.LEGACY
ESP = partition_names.ESP
READ_ONLY = partition_names.READ_ONLY
READ_WRITE = partition_names.READ_WRITE

LEGACY_SIZE = 2 * MIB
CONTENT_SIZED = PartitionSize("content")
SQUASHFS = "squashfs"


def partition_guid(appliance: Appliance, name: str) -> UUID:
    """The pinned unique GUID (PARTUUID) of the partition called `name`."""
    return derived_uuid(appliance.name, f"partition {name}")


def hash_partition(name: str) -> str:
    """Name of the partition with the hash tree of partition `name`, where it has its own."""
    return f"{name}{table.HASHES}"


def discoverable_type(architecture: str, mountpoint: str | None, *, hashes: bool = False) -> UUID:
    """Type GUID by which a system finds what belongs at `mountpoint`, or its hash tree.

    `architecture` is a machine name such as x86_64. Generic Linux data where the
    specification has no type.
    """
    point = (mountpoint or "").rstrip("/") or mountpoint or ""
    if hashes:
        return _HASHES_BY_ARCHITECTURE.get(architecture, {}).get(point, TYPE_LINUX)
    own = _BY_ARCHITECTURE.get(architecture, {}).get(point)
    return own or _ANYWHERE.get(point, TYPE_LINUX)


def data_partitions(kind: ImageType) -> tuple[PartitionElement, ...]:
    """The description's own partitions that are mounted somewhere and have a file system."""
    return tuple(p for p in kind.partitions if p.filesystem)


def file_system_label(partition: PartitionElement) -> str:
    """The label of the partition's file system: the description's, else as much of its name
    as there is room for (12 bytes in XFS, 16 in ext2 to ext4).
    """
    most = 12 if partition.filesystem == "xfs" else 16
    return partition.label or partition.name[:most]


def partitions(appliance: Appliance) -> tuple[Partition, ...]:
    """All partitions of the disk, in order, with symbolic sizes."""
    return tuple(
        Partition(
            name=row.name,
            type_guid=_type(appliance, row),
            unique_guid=partition_guid(appliance, row.name),
            size=row.size,
            content=row.content,
            mountpoint=row.mountpoint,
            where=row.where,
            attributes=GROWS_ONCE
            if row.name == READ_WRITE and appliance.type.grow == "once"
            else 0,
        )
        for row in _rows(appliance.type)
    )


def _type(appliance: Appliance, row: _Row) -> UUID:
    if row.type_guid is not None:
        return row.type_guid
    if not appliance.type.dps_types:
        return TYPE_LINUX
    place = row.hashes_of or row.mountpoint
    return discoverable_type(appliance.arch, place, hashes=row.hashes_of is not None)


def _rows(kind: ImageType) -> Iterator[_Row]:
    here = str(kind.span)
    esp = PartitionSize("fixed", kind.efipartsize) if kind.efipartsize else CONTENT_SIZED
    legacy = "GRUB" if kind.bios else "BIOS boot, empty"
    yield _Row(LEGACY, PartitionSize("fixed", LEGACY_SIZE), legacy, here, TYPE_BIOS_BOOT)
    yield _Row(ESP, esp, "FAT: UKI", here, TYPE_ESP)
    for p in kind.partitions:
        size = PartitionSize("fixed", p.size) if p.size else CONTENT_SIZED
        if p.filesystem == SQUASHFS:
            yield from _verified(kind, p.name, size, p.mountpoint, str(p.span))
        else:
            yield _Row(p.name, size, _content_words(p), str(p.span), mountpoint=p.mountpoint)
    overlay = kind.overlay
    if overlay is None:
        return
    yield from _verified(kind, READ_ONLY, CONTENT_SIZED, "/", here)
    if overlay.write_partition:
        least = PartitionSize("rest", overlay_least(overlay))
        where = str(kind.size.span) if kind.size else here
        yield _Row(READ_WRITE, least, f"overlay: {overlay.filesystem} on LUKS2", where)


def _verified(
    kind: ImageType, name: str, size: PartitionSize, mountpoint: str | None, where: str
) -> Iterator[_Row]:
    """A squashfs with its hash tree behind it, or in the next partition."""
    if kind.overlay is None or kind.overlay.verity.hash_tree == "appended":
        yield _Row(name, size, "squashfs + hash tree", where, mountpoint=mountpoint)
        return
    yield _Row(name, size, "squashfs", where, mountpoint=mountpoint)
    words = f"hash tree of {name}"
    yield _Row(hash_partition(name), CONTENT_SIZED, words, where, hashes_of=mountpoint)


class _Row(NamedTuple):
    """What differs between partitions."""

    name: str
    size: PartitionSize
    content: str
    where: str
    type_guid: UUID | None = None
    """None: what fits the mount point."""
    mountpoint: str | None = None
    hashes_of: str | None = None
    """Mount point of what the hash tree in it is of."""


def _content_words(partition: PartitionElement) -> str:
    words = partition.filesystem or "empty"
    return f"{words} on LUKS2" if partition.encrypted else words
