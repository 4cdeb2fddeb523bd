"""Which partitions the appliance's disk has, in KIWI's names and order."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from kiwilite.description.model import Appliance, ImageType, PartitionElement
from kiwilite.plan.identity import derived_uuid
from kiwilite.plan.partitions import (
    MIB,
    OVERLAY_MINIMUM,
    Partition,
    PartitionSize,
)

TYPE_BIOS_BOOT = UUID("21686148-6449-6e6f-744e-656564454649")
TYPE_ESP = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
TYPE_LINUX = UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")

LEGACY = "p.legacy"
ESP = "p.UEFI"
READ_ONLY = "p.lxreadonly"
READ_WRITE = "p.lxroot"

LEGACY_SIZE = 2 * MIB
CONTENT_SIZED = PartitionSize("content")
SQUASHFS = "squashfs"


def partition_guid(appliance: Appliance, name: str) -> UUID:
    """The pinned unique GUID (PARTUUID) of the partition called `name`."""
    return derived_uuid(appliance.name, f"partition {name}")


def data_partitions(kind: ImageType) -> tuple[PartitionElement, ...]:
    """The description's own partitions that are mounted somewhere and have a file system."""
    return tuple(p for p in kind.partitions if p.filesystem)


def partitions(appliance: Appliance) -> tuple[Partition, ...]:
    """All partitions of the disk, in order, with symbolic sizes."""
    kind = appliance.type
    here = str(kind.span)
    esp = PartitionSize("fixed", kind.efipartsize) if kind.efipartsize else CONTENT_SIZED
    rows = [
        _Row(LEGACY, PartitionSize("fixed", LEGACY_SIZE), "BIOS boot, empty", here, TYPE_BIOS_BOOT),
        _Row(ESP, esp, "FAT: UKI", here, TYPE_ESP),
    ]
    for p in kind.partitions:
        size = PartitionSize("fixed", p.size)
        rows.append(_Row(p.name, size, _content_words(p), str(p.span), mountpoint=p.mountpoint))
    overlay = kind.overlay
    if overlay is not None:
        words = "squashfs + hash tree"
        rows.append(_Row(READ_ONLY, CONTENT_SIZED, words, here, mountpoint="/"))
        if overlay.write_partition:
            least = PartitionSize("rest", OVERLAY_MINIMUM)
            where = str(kind.size.span) if kind.size else here
            words = f"overlay: {overlay.filesystem} on LUKS2"
            rows.append(_Row(READ_WRITE, least, words, where))
    return tuple(
        Partition(
            name=row.name,
            type_guid=row.type_guid,
            unique_guid=partition_guid(appliance, row.name),
            size=row.size,
            content=row.content,
            mountpoint=row.mountpoint,
            where=row.where,
        )
        for row in rows
    )


class _Row(NamedTuple):
    """What differs between partitions."""

    name: str
    size: PartitionSize
    content: str
    where: str
    type_guid: UUID = TYPE_LINUX
    mountpoint: str | None = None


def _content_words(partition: PartitionElement) -> str:
    if partition.filesystem == SQUASHFS:
        return "squashfs + hash tree"
    return partition.filesystem or "empty"
