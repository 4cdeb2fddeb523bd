"""Growth of the last partition by the boot hook, on files: tables before, during and after."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import hook_shell
import pytest

from kiwilite.ondisk import gpt, mbr
from kiwilite.plan.disk import GROWS_ONCE

MIB = 1024 * 1024
OLD_BYTES = 11 * MIB
OLD_END = 9 * MIB
NEW_BYTES = 16 * MIB + 12288
NEW_END = 14 * MIB
LAST_BEGIN = 5 * MIB
LAST = UUID(int=13)
VOLUME_ID = "abcdef01-2345-4678-9abc-def012345678"
SECTORS: list[gpt.SectorSize] = [512, 4096]

# What the kernel and the partitions' device nodes do in the initrd. Every write is counted;
# number CUT is torn after half of its sectors, and nothing comes after it.
_STUBS = """
blockdev() { case $1 in --getss) echo "$SECTOR" ;; --getsize64) stat -c %s "$2" ;; esac; }
partx() { echo "the kernel is told: $*"; }
find_partition() { device=$work/partition number=3; }
is_last() { :; }
write_blocks() {
    writes=$((${writes:-0} + 1)) count=$4
    [ "$writes" != "${CUT:-0}" ] || count=$((count / 2))
    dd if="$1" of="$2" bs="${5:-4096}" seek="$3" count="$count" conv=notrunc 2>/dev/null
    [ "$writes" != "${CUT:-0}" ] || exit 9
}
"""


def make_disk(
    path: Path, sector: gpt.SectorSize, *, hybrid: Sequence[int] = (), once: bool = False
) -> gpt.Gpt:
    """A disk of three partitions that has become larger; the last one ends 2 MiB early.

    `hybrid` are the partitions that the MBR shows too; `once` marks the last one.
    """
    unit = MIB // sector
    ranges = [(1, 2), (3, 4), (5, 8)]
    table = gpt.Gpt(
        disk_guid=UUID(int=9),
        partitions=tuple(
            gpt.GptPartition(
                *(gpt.ESP, UUID(int=11 + n), a * unit, (b + 1) * unit - 1),
                n | (GROWS_ONCE if once and n == 2 else 0),
                f"p{n}",
            )
            for n, (a, b) in enumerate(ranges)
        ),
        disk_sectors=OLD_BYTES // sector,
        sector_size=sector,
    )  # fmt: skip
    areas = gpt.write(table)
    record = mbr.protective(table.disk_sectors).pack()
    if hybrid:
        shown = (table.partitions[n] for n in hybrid)
        rows = [mbr.MbrEntry(0x83, p.first_lba, p.sectors) for p in shown]
        record = mbr.Mbr((*rows, mbr.MbrEntry(0xEE, 1, 2047))).pack()
    with path.open("wb") as disk:
        disk.truncate(NEW_BYTES)
        for offset, data in (
            (0, record), (areas.primary_offset, areas.primary), (areas.backup_offset, areas.backup)
        ):  # fmt: skip
            disk.seek(offset)
            disk.write(data)
    return table


def grow(disk: Path, sector: int, *, cut: int = 0, when: str = "always") -> str:
    """What the hook says while it grows the disk's last partition."""
    work = disk.with_suffix(".work")
    work.mkdir(exist_ok=True)
    (work / "policy").write_text(f"grow {when} {LAST}\n")
    raw = disk.read_bytes()
    (work / "partition").write_bytes(raw[LAST_BEGIN:OLD_END])
    variables = f"disk={disk} SECTOR={sector} CUT={cut}\n"
    ran = hook_shell.run(work, f"{variables}grow_disk\necho writes: ${{writes:-0}}", _STUBS)
    assert ran.returncode == (9 if cut else 0), ran.stdout + ran.stderr
    return ran.stdout


def read(disk: Path) -> gpt.Gpt:
    with disk.open("rb") as file:
        return gpt.read(file)


def kernel_sees(disk: Path, sector: int) -> bool:
    """Whether the primary, or the copy in the disk's last sectors, is intact."""
    raw = disk.read_bytes()
    blocks = len(raw) // sector
    for lba in (1, blocks - 1):
        try:
            with disk.open("rb") as file:
                header = gpt._read_header(file, sector, lba, "")
                gpt._read_entries(file, sector, header, "")
        except gpt.BadGpt:
            continue
        return True
    return False


@pytest.mark.parametrize("sector", SECTORS)
def test_the_last_partition_gets_what_the_disk_has_more(
    tmp_path: Path, sector: gpt.SectorSize
) -> None:
    disk = tmp_path / "disk"
    before = make_disk(disk, sector)
    assert "the kernel is told: --update --nr 3" in grow(disk, sector)
    after = read(disk)
    assert after.disk_sectors == NEW_BYTES // sector
    assert after.partitions[:2] == before.partitions[:2]
    last = after.partitions[2]
    assert (last.last_lba + 1) * sector == NEW_END
    assert replace(last, last_lba=0) == replace(before.partitions[2], last_lba=0)
    assert after.disk_guid == before.disk_guid
    assert mbr.Mbr.unpack(disk.read_bytes()[:512]) == mbr.protective(after.disk_sectors)


def test_sgdisk_finds_no_problem_in_a_grown_table(tmp_path: Path) -> None:
    if shutil.which("sgdisk") is None:
        pytest.skip("needs sgdisk")
    disk = tmp_path / "disk"
    make_disk(disk, 512)
    grow(disk, 512)
    verdict = subprocess.run(["sgdisk", "-v", disk], capture_output=True, text=True, check=True)
    assert "No problems found" in verdict.stdout


def test_a_hybrid_mbr_that_does_not_show_it_stays_as_it_is(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512, hybrid=[0, 1])
    before = disk.read_bytes()[:512]
    grow(disk, 512)
    assert disk.read_bytes()[:512] == before
    assert read(disk).partitions[2].last_lba == NEW_END // 512 - 1


@pytest.mark.parametrize("sector", SECTORS)
@pytest.mark.parametrize("cut", [0, 5, 6])
def test_a_hybrid_mbr_shows_the_size_it_grew_to(
    tmp_path: Path, sector: gpt.SectorSize, cut: int
) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, sector, hybrid=[0, 2])
    before = mbr.Mbr.unpack(disk.read_bytes()[:512]).entries
    grow(disk, sector, cut=cut)
    if cut:
        grow(disk, sector)
    after = mbr.Mbr.unpack(disk.read_bytes()[:512]).entries
    last = read(disk).partitions[2]
    assert (last.last_lba + 1) * sector == NEW_END
    assert after[1] == replace(before[1], sectors=last.sectors)
    assert [after[0], *after[2:]] == [before[0], *before[2:]]


def test_a_disk_that_is_not_larger_is_not_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512)
    grow(disk, 512)
    before = disk.read_bytes()
    assert "writes: 0" in grow(disk, 512)
    assert disk.read_bytes() == before


@pytest.mark.parametrize("sector", SECTORS)
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_growth_cut_at_any_write_leaves_a_table_and_is_completed(
    tmp_path: Path, sector: gpt.SectorSize, cut: int
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    make_disk(whole, sector)
    make_disk(torn, sector)
    # the mark, two writes of each copy, the protective MBR
    assert "writes: 6" in grow(whole, sector)
    grow(torn, sector, cut=cut)
    assert kernel_sees(torn, sector)
    grow(torn, sector)
    assert read(torn) == read(whole)


@pytest.mark.parametrize("offset", [512 + 60, 1024 + 40])
def test_a_damaged_primary_is_restored_from_the_backup(tmp_path: Path, offset: int) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512)
    grow(disk, 512)
    good = disk.read_bytes()
    with disk.open("r+b") as file:
        file.seek(offset)
        file.write(bytes([good[offset] ^ 1]))
    assert "the partition table is damaged: restoring it from its backup" in grow(disk, 512)
    assert disk.read_bytes() == good


@pytest.mark.parametrize("sector", SECTORS)
def test_a_damaged_backup_is_made_anew(tmp_path: Path, sector: gpt.SectorSize) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, sector)
    grow(disk, sector)
    good = disk.read_bytes()
    with disk.open("r+b") as file:
        file.seek(NEW_BYTES - sector)
        file.write(bytes(sector))
    assert "the backup of the partition table is damaged" in grow(disk, sector)
    assert disk.read_bytes() == good


def test_without_an_intact_copy_the_boot_stops(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512)
    with disk.open("r+b") as file:
        file.seek(512)
        file.write(bytes(512))
    work = tmp_path / "work"
    work.mkdir()
    (work / "policy").write_text(f"grow always {LAST}\n")
    ran = hook_shell.run(work, f"disk={disk} SECTOR=512\ngrow_disk", _STUBS)
    assert "FAILED: neither copy of the partition table is intact" in ran.stdout


def test_the_mark_of_unfinished_provisioning_moves_to_the_new_end(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512)
    mark = f"KIWILITE PROVISION {VOLUME_ID}".encode()
    with disk.open("r+b") as file:
        file.seek(OLD_END - 4096)
        file.write(mark)
    grow(disk, 512)
    assert disk.read_bytes()[NEW_END - 4096 :].startswith(mark)


def test_what_stood_at_the_new_end_is_no_mark_any_more(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512)
    with disk.open("r+b") as file:
        file.seek(NEW_END - 4096)
        file.write(f"KIWILITE PROVISION {VOLUME_ID}".encode())
    grow(disk, 512)
    assert not any(disk.read_bytes()[NEW_END - 4096 : NEW_END])


@pytest.mark.parametrize("sector", SECTORS)
def test_what_may_grow_once_does_not_grow_again(tmp_path: Path, sector: gpt.SectorSize) -> None:
    disk = tmp_path / "disk"
    before = make_disk(disk, sector, once=True).partitions[2]
    grow(disk, sector, when="once")
    after = read(disk).partitions[2]
    assert (after.last_lba + 1) * sector == NEW_END
    assert after.attributes == before.attributes & ~GROWS_ONCE == 2
    with disk.open("r+b") as file:
        file.truncate(NEW_BYTES + 8 * MIB)
    assert "writes: 0" in grow(disk, sector, when="once")


def test_a_disk_that_is_as_large_as_the_image_does_not_use_up_the_one_time(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    make_disk(disk, 512, once=True)
    with disk.open("r+b") as file:
        file.truncate(OLD_BYTES)
    assert "writes: 0" in grow(disk, 512, when="once")
    with disk.open("r+b") as file:
        file.truncate(NEW_BYTES)
    grow(disk, 512, when="once")
    assert read(disk).partitions[2].last_lba == NEW_END // 512 - 1
