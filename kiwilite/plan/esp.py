"""How large a FAT file system must be, and which kind it then is.

FAT12, 16 and 32 differ by the number of clusters and nothing else (Microsoft's FAT
specification, "FAT Type Determination"): up to 4084 is FAT12, up to 65524 FAT16.
Clusters here are one sector of the disk, 512 or 4096 bytes; sizes are whole MiB, because
between 32 and 33 MiB (256 and 257) lie sizes that are too large for the one kind and too
small for the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from kiwilite.plan.partitions import MIB, round_up

FAT16_LEAST = {512: 3 * MIB, 4096: 17 * MIB}
"""By sector size: the first whole MiB with 4085 clusters beside the tables, and 16 to spare."""
FAT32_LEAST = {512: 33 * MIB, 4096: 257 * MIB}
"""By sector size: the first whole MiB with 65525 clusters beside the tables, and 16 to spare."""


def fat_for(size: int, sector: int = 512) -> int:
    """16 or 32: the kind a FAT of `size` bytes with clusters of one `sector` has."""
    return 32 if size >= FAT32_LEAST[sector] else 16


def least_size(files: Sequence[int], sector: int = 512) -> int:
    """Bytes of a FAT that holds files of these sizes, with room for folders and tables.

    Two FATs of 4 bytes a cluster are 8 bytes for a sector: 1.6 % where it has 512. A
    whole number of MiB.
    """
    data = sum(round_up(size, sector) for size in files)
    tables = data * 8 // sector
    return max(FAT16_LEAST[sector], round_up(data + tables + MIB, MIB))
