"""How large a FAT file system must be, and which kind it then is.

FAT12, 16 and 32 differ by the number of clusters and nothing else (Microsoft's FAT
specification, "FAT Type Determination"): up to 4084 is FAT12, up to 65524 FAT16.
Clusters here are one sector of 512 bytes; sizes are whole MiB, because between 32 and
33 MiB lie sizes that are too large for the one kind and too small for the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiwilite.plan.partitions import MIB, round_up

SECTOR = 512
FAT16_LEAST = 3 * MIB
"""The first whole MiB with 4085 clusters of 512 bytes beside the tables."""
FAT32_LEAST = 33 * MIB
"""The first whole MiB with 65525 clusters of 512 bytes beside the tables."""


def fat_for(size: int) -> int:
    """16 or 32: the kind a FAT of `size` bytes with 512-byte clusters has."""
    return 32 if size >= FAT32_LEAST else 16


def least_size(files: Sequence[int]) -> int:
    """Bytes of a FAT that holds files of these sizes, with room for folders and tables.

    Two FATs of 4 bytes a cluster are 8 bytes for 512: 1.6 %. A whole number of MiB.
    """
    data = sum(round_up(size, SECTOR) for size in files)
    tables = data * 8 // SECTOR
    return max(FAT16_LEAST, round_up(data + tables + MIB, MIB))
