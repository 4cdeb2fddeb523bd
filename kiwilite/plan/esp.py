"""How large a FAT file system must be, and which kind it then is.

FAT12, 16 and 32 differ by the number of clusters and nothing else (Microsoft's FAT
specification, "FAT Type Determination"): up to 4084 is FAT12, up to 65524 FAT16.
Clusters here are one sector of 512 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiwilite.plan.partitions import MIB, round_up

SECTOR = 512
FAT32_LEAST = 34 * MIB
"""Sure to have 65525 clusters of 512 bytes beside its own tables."""


def fat_for(size: int) -> int:
    """16 or 32: the kind a FAT of `size` bytes with 512-byte clusters has."""
    return 32 if size >= FAT32_LEAST else 16


def least_size(files: Sequence[int]) -> int:
    """Bytes of a FAT that holds files of these sizes, with room for folders and tables.

    Two FATs of 4 bytes a cluster are 8 bytes for 512: 1.6 %.
    """
    data = sum(round_up(size, SECTOR) for size in files)
    tables = data * 8 // SECTOR
    return round_up(data + tables + MIB, MIB)
