"""Which partitions the appliance's disk has, in KIWI's names and order."""

from __future__ import annotations

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
    type_line = str(kind.span)

    def make(
        name: str, guid: UUID, size: PartitionSize, content: str, mountpoint: str | None, where: str
    ) -> Partition:
        return Partition(
            name, guid, partition_guid(appliance, name), size, content, mountpoint, where
        )

    esp_size = PartitionSize("fixed", kind.efipartsize) if kind.efipartsize else None
    rows = [
        make(
            LEGACY,
            TYPE_BIOS_BOOT,
            PartitionSize("fixed", LEGACY_SIZE),
            "BIOS boot, empty",
            None,
            type_line,
        ),
        make(ESP, TYPE_ESP, esp_size or PartitionSize("content"), "FAT: UKI", None, type_line),
    ]
    rows += [
        make(
            p.name,
            TYPE_LINUX,
            PartitionSize("fixed", p.size),
            _content_words(p),
            p.mountpoint,
            str(p.span),
        )
        for p in kind.partitions
    ]
    overlay = kind.overlay
    if overlay is not None:
        words = "squashfs + hash tree" if overlay.verity_blocks else SQUASHFS
        size = PartitionSize("content")
        rows.append(make(READ_ONLY, TYPE_LINUX, size, words, "/", type_line))
        if overlay.write_partition:
            least = OVERLAY_MINIMUM if overlay.filesystem == "xfs" else 64 * MIB
            words = f"{overlay.filesystem} on LUKS2" if overlay.luks else overlay.filesystem
            where = str(kind.size.span) if kind.size else type_line
            rows.append(
                make(
                    READ_WRITE,
                    TYPE_LINUX,
                    PartitionSize("rest", least),
                    f"overlay: {words}",
                    None,
                    where,
                )
            )
    return tuple(rows)


def _content_words(partition: PartitionElement) -> str:
    if partition.filesystem == SQUASHFS:
        return "squashfs + hash tree"
    return partition.filesystem or "empty"
