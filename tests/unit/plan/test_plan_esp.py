"""The size of a FAT decides its kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.plan.esp import FAT16_LEAST, FAT32_LEAST, SECTOR, fat_for, least_size
from kiwilite.plan.partitions import MIB

MOST_FAT12, MOST_FAT16 = 4084, 65524


def clusters(size: int, kind: int) -> int:
    """Clusters of one sector that remain beside what mkfs.vfat reserves.

    FAT16: 1 reserved sector, 512 root entries of 32 bytes; FAT32: 32 reserved sectors.
    Two tables, of 2 or 4 bytes a cluster.
    """
    sectors = size // SECTOR - (1 + 512 * 32 // SECTOR if kind == 16 else 32)
    entry = kind // 8
    count = sectors * SECTOR // (SECTOR + 2 * entry) + 4
    while count + 2 * -(-(count + 2) * entry // SECTOR) > sectors:
        count -= 1
    return count


@given(st.integers(FAT16_LEAST // MIB, 4000))
def test_every_size_in_mebibytes_has_the_clusters_of_its_kind(mebibytes: int) -> None:
    size = mebibytes * MIB
    if fat_for(size) == 16:
        assert MOST_FAT12 < clusters(size, 16) <= MOST_FAT16
    else:
        assert clusters(size, 32) > MOST_FAT16


def test_the_limits_are_the_first_sizes_that_work() -> None:
    assert clusters(FAT16_LEAST - MIB, 16) <= MOST_FAT12
    assert clusters(FAT32_LEAST - MIB, 32) <= MOST_FAT16
    assert (fat_for(FAT32_LEAST - MIB), fat_for(FAT32_LEAST)) == (16, 32)


@given(st.lists(st.integers(0, 60 * MIB), max_size=12))
def test_the_clusters_hold_all_files(sizes: list[int]) -> None:
    size = least_size(sizes)
    assert size % MIB == 0
    room = clusters(size, fat_for(size)) * SECTOR
    assert room >= sum(-(-s // SECTOR) * SECTOR for s in sizes)


@pytest.mark.parametrize(("files", "mebibytes"), [([], 3), ([29 * MIB], 31), ([64 * MIB], 66)])
def test_sizes_of_usual_contents(files: list[int], mebibytes: int) -> None:
    assert least_size(files) == mebibytes * MIB
