"""Each copy of the partition table, and the MBR: one wrong byte is found where it is."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
import synthetic_disk
from synthetic_disk import MIB, flip

from kiwilite.inspect.bootrecord import check_boot_record
from kiwilite.inspect.findings import Finding, Severity
from kiwilite.inspect.source import opened
from kiwilite.inspect.table import BACKUP, PRIMARY, NoTable, Table, read_table
from kiwilite.ondisk import gpt

pytestmark = pytest.mark.skipif(shutil.which("mke2fs") is None, reason="mke2fs is not installed")


def checked(path: Path) -> tuple[Table, list[Finding]]:
    with opened(path) as disk:
        table, findings, _ = read_table(disk)
        more, _ = check_boot_record(disk, table)
    return table, [*findings, *more]


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("hybrid", [False, True])
def test_a_sound_table_has_no_finding(tmp_path: Path, sector: gpt.SectorSize, hybrid: bool) -> None:
    table, findings = checked(synthetic_disk.make(tmp_path / "disk", sector=sector, hybrid=hybrid))
    assert findings == []
    assert [p.name for p in table.partitions] == list(synthetic_disk.NAMES)
    assert table.partitions[1].start == 2 * MIB


@pytest.mark.parametrize("sector", [512, 4096])
def test_any_flipped_bit_of_either_copy_is_found_where_it_is(
    tmp_path: Path, sector: gpt.SectorSize
) -> None:
    path = synthetic_disk.make(tmp_path / "disk", sector=sector)
    size = path.stat().st_size
    chance = random.Random(sector)
    entries = 128 * 128
    starts = {PRIMARY: sector, BACKUP: size - sector - entries}
    for number in range(60):
        part = (PRIMARY, BACKUP)[number % 2]
        offset = starts[part] + chance.randrange(sector + entries)
        bit = chance.randrange(8)
        flip(path, offset, bit)
        table, findings = checked(path)
        flip(path, offset, bit)
        places = [f.place for f in findings if f.place.part == part]
        assert any(p.overlaps(offset, offset + 1) for p in places), (part, offset, findings)
        assert [p.name for p in table.partitions] == list(synthetic_disk.NAMES)


def test_the_wrong_bytes_are_named_one_by_one(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    flip(path, 512 + 60)
    _, findings = checked(path)
    assert (572, 573) in [(f.place.start, f.place.end) for f in findings]


def test_two_sound_copies_that_differ_are_an_error(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    other = synthetic_disk.make(tmp_path / "other", last=b"x")
    with other.open("r+b") as stream:
        table = gpt.read(stream)
        renamed = tuple(
            gpt.GptPartition(p.type_guid, p.unique_guid, p.first_lba, p.last_lba, 0, p.name + "x")
            for p in table.partitions
        )
    areas = gpt.write(gpt.Gpt(table.disk_guid, renamed, table.disk_sectors))
    with path.open("r+b") as stream:
        synthetic_disk.put(stream, areas.backup_offset, areas.backup)
    _, findings = checked(path)
    assert any("not those of the primary" in f.what for f in findings)


def test_a_disk_that_was_made_larger_is_told(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    with path.open("r+b") as stream:
        stream.truncate(path.stat().st_size + 64 * MIB)
    table, findings = checked(path)
    assert len(table.partitions) == 3
    assert [f.severity for f in findings] == [Severity.WARNING]
    assert "larger" in findings[0].what


def test_without_any_sound_copy_there_is_no_table(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    flip(path, 512 + 60)
    flip(path, path.stat().st_size - 512 + 60)
    with pytest.raises(NoTable, match="neither copy"):
        checked(path)
    empty = tmp_path / "empty"
    empty.write_bytes(bytes(MIB))
    with pytest.raises(NoTable):
        checked(empty)


@pytest.mark.parametrize("offset", [446 + 1, 446 + 8, 446 + 12, 446 + 24, 446 + 28, 510])
def test_a_wrong_byte_of_the_boot_record_is_found_where_it_is(tmp_path: Path, offset: int) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    flip(path, offset)
    _, findings = checked(path)
    assert any(f.place.overlaps(offset, offset + 1) for f in findings), findings
