"""Which partitions the MBR of a GPT disk shows to a legacy BIOS, and whether one boots from it."""

from __future__ import annotations

from collections.abc import Sequence

from kiwilite.description.model import ImageType
from kiwilite.plan.disk import LEGACY, TYPE_ESP
from kiwilite.plan.image_steps import HybridRow
from kiwilite.plan.partitions import Partition

MBR_ESP = 0xEF
MBR_LINUX = 0x83
MOST_ENTRIES = 3
"""One of the four entries of an MBR guards the GPT."""


def hybrid_rows(kind: ImageType, partitions: Sequence[Partition]) -> tuple[HybridRow, ...]:
    """The MBR's entries in order; empty where the disk has a protective MBR.

    Without `<hybridmbr>` these are the first three partitions, as KIWI has them, none
    active; on an image for a BIOS p.legacy is, because some BIOSes start no disk without
    an active partition. The names are those of the table: description/table.py sees to it.
    """
    if kind.hybrid:
        by_name = {p.name: p for p in partitions}
        return tuple(
            HybridRow(
                e.partition,
                mbr_type(by_name[e.partition]) if e.type is None else e.type,
                e.active,
            )
            for e in kind.hybrid
        )
    if not kind.gpt_hybrid_mbr:
        return ()
    return tuple(
        HybridRow(p.name, mbr_type(p), kind.bios and p.name == LEGACY)
        for p in partitions[:MOST_ENTRIES]
    )


def mbr_type(partition: Partition) -> int:
    """The MBR's type byte that says what the GPT's type GUID says, as far as it can.

    sgdisk has ef for a BIOS boot partition too; that would announce a FAT which is not there.
    """
    return MBR_ESP if partition.type_guid == TYPE_ESP else MBR_LINUX
