"""The size of a FAT decides its kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.plan.esp import FAT16_LEAST, FAT32_LEAST, fat_for, least_size
from kiwilite.plan.partitions import MIB

MOST_FAT12, MOST_FAT16 = 4084, 65524
TO_SPARE = 16
SECTORS = [512, 4096]


def clusters(size: int, kind: int, sector: int) -> int:
    """Clusters of one sector that remain beside what mkfs.vfat reserves.

    FAT16: 1 reserved sector, 512 root entries of 32 bytes; FAT32: 32 reserved sectors.
    Two tables, of 2 or 4 bytes a cluster.
    """
    sectors = size // sector - (1 + 512 * 32 // sector if kind == 16 else 32)
    entry = kind // 8
    count = sectors * sector // (sector + 2 * entry) + 4
    while count + 2 * -(-(count + 2) * entry // sector) > sectors:
        count -= 1
    return count


@pytest.mark.parametrize("sector", SECTORS)
@given(size=st.integers(3, 4000).map(lambda n: n * MIB))
def test_every_size_in_mebibytes_has_the_clusters_of_its_kind(sector: int, size: int) -> None:
    size = max(size, FAT16_LEAST[sector])
    if fat_for(size, sector) == 16:
        assert MOST_FAT12 < clusters(size, 16, sector) <= MOST_FAT16
    else:
        assert clusters(size, 32, sector) > MOST_FAT16


@pytest.mark.parametrize("sector", SECTORS)
def test_the_limits_are_the_first_sizes_that_work_with_some_to_spare(sector: int) -> None:
    fat16, fat32 = FAT16_LEAST[sector], FAT32_LEAST[sector]
    assert clusters(fat16 - MIB, 16, sector) <= MOST_FAT12 + TO_SPARE
    assert clusters(fat32 - MIB, 32, sector) <= MOST_FAT16 + TO_SPARE
    assert (fat_for(fat32 - MIB, sector), fat_for(fat32, sector)) == (16, 32)


@pytest.mark.parametrize("sector", SECTORS)
@given(sizes=st.lists(st.integers(0, 60 * MIB), max_size=12))
def test_the_clusters_hold_all_files(sector: int, sizes: list[int]) -> None:
    size = least_size(sizes, sector)
    assert size % MIB == 0
    room = clusters(size, fat_for(size, sector), sector) * sector
    assert room >= sum(-(-s // sector) * sector for s in sizes)


@pytest.mark.parametrize(("files", "mebibytes"), [([], 3), ([29 * MIB], 31), ([64 * MIB], 66)])
def test_sizes_of_usual_contents(files: list[int], mebibytes: int) -> None:
    assert least_size(files) == mebibytes * MIB


def test_sectors_of_4096_make_the_least_fat_larger() -> None:
    assert least_size([], 4096) == 17 * MIB
    assert least_size([64 * MIB], 4096) == 66 * MIB
