"""The GPT codec against sgdisk and sfdisk, and against broken input."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import gpt, mbr
from kiwilite.ondisk.gpt import BadGpt, Gpt, GptPartition

DISK_GUID = uuid.UUID("0a4a1c4e-5a3f-4f0e-8d5c-3f6d1a2b3c4d")
SECTORS = 131072


def partition(number: int, first: int, last: int, **changes: object) -> GptPartition:
    plain = GptPartition(
        gpt.LINUX_FILESYSTEM, uuid.uuid5(DISK_GUID, str(number)), first, last, 0, f"p{number}"
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


TABLE = Gpt(
    DISK_GUID,
    (
        partition(1, 34, 2047, type_guid=gpt.BIOS_BOOT, name="p.legacy"),
        partition(
            2, 2048, 40959, type_guid=gpt.ESP, attributes=gpt.ATTR_LEGACY_BIOS_BOOTABLE, name="ESP"
        ),
        partition(3, 65536, 131000, type_guid=gpt.HOME, name="Zuhause – ü 𝄞"),
        partition(5, 40960, 65535, type_guid=gpt.ROOT_X86_64, attributes=gpt.ATTR_READ_ONLY),
    ),
    SECTORS,
    empty_slots=frozenset({4}),
)


def disk_image(table: Gpt) -> bytearray:
    disk = bytearray(table.disk_sectors * table.sector_size)
    areas = gpt.write(table)
    disk[: mbr.MBR_SIZE] = mbr.protective(table.disk_sectors).pack()
    disk[areas.primary_offset : areas.primary_offset + len(areas.primary)] = areas.primary
    disk[areas.backup_offset : areas.backup_offset + len(areas.backup)] = areas.backup
    return disk


@pytest.fixture
def disk_file(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(disk_image(TABLE))
    return path


def output(*command: str | Path) -> str:
    """sgdisk breaks UTF-8 beyond the basic plane in what it prints, hence `replace`."""
    return subprocess.run(command, check=True, capture_output=True).stdout.decode(errors="replace")


def test_sgdisk_finds_no_problem(disk_file: Path) -> None:
    assert "No problems found" in output("sgdisk", "-v", disk_file)


def test_sgdisk_shows_guids_lbas_and_attributes_as_written(disk_file: Path) -> None:
    for number, p in TABLE.numbered():
        shown = output("sgdisk", "-i", str(number), disk_file)
        assert f"GUID code: {str(p.type_guid).upper()}" in shown
        assert f"unique GUID: {str(p.unique_guid).upper()}" in shown
        assert f"First sector: {p.first_lba} " in shown
        assert f"Last sector: {p.last_lba} " in shown
        assert f"Partition size: {p.sectors} " in shown
        assert f"Attribute flags: {p.attributes:016X}" in shown


def test_sfdisk_shows_the_same_table(disk_file: Path) -> None:
    shown = json.loads(output("sfdisk", "-J", disk_file))["partitiontable"]
    assert uuid.UUID(shown["id"]) == DISK_GUID
    assert (shown["firstlba"], shown["lastlba"]) == (34, SECTORS - 34)
    assert [
        (int(p["node"].rpartition("img")[2]), p["start"], p["size"], p["name"])
        for p in shown["partitions"]
    ] == [(n, p.first_lba, p.sectors, p.name) for n, p in TABLE.numbered()]


def test_a_table_by_sgdisk_is_read_and_written_back_byte_for_byte(tmp_path: Path) -> None:
    path = tmp_path / "disk.img"
    with path.open("wb") as f:
        f.truncate(SECTORS * 512)
    output("sgdisk", "-n", "1:2048:+8M", "-t", "1:ef00", "-c", "1:Eé", "-A", "1:set:2", path)
    output("sgdisk", "-n", "3:0:+4M", "-n", "7:0:0", "-t", "7:8302", path)
    raw = path.read_bytes()
    table = gpt.read(io.BytesIO(raw))
    assert [number for number, _ in table.numbered()] == [1, 3, 7]
    areas = gpt.write(table)
    assert raw[areas.primary_offset :].startswith(areas.primary)
    assert raw[areas.backup_offset :] == areas.backup


@pytest.mark.parametrize(
    ("constant", "name"),
    [
        (gpt.BIOS_BOOT, "BIOS boot"),
        (gpt.ESP, "EFI System"),
        (gpt.XBOOTLDR, "Linux extended boot"),
        (gpt.LINUX_FILESYSTEM, "Linux filesystem"),
        (gpt.LINUX_SWAP, "Linux swap"),
        (gpt.LINUX_LVM, "Linux LVM"),
        (gpt.LINUX_RAID, "Linux RAID"),
        (gpt.ROOT_X86_64, "Linux root (x86-64)"),
        (gpt.ROOT_X86_64_VERITY, "Linux root verity (x86-64)"),
        (gpt.ROOT_X86_64_VERITY_SIG, "Linux root verity sign. (x86-64)"),
        (gpt.ROOT_ARM64, "Linux root (ARM-64)"),
        (gpt.ROOT_ARM64_VERITY, "Linux root verity (ARM-64)"),
        (gpt.USR_X86_64, "Linux /usr (x86-64)"),
        (gpt.USR_X86_64_VERITY, "Linux /usr verity (x86-64)"),
        (gpt.HOME, "Linux home"),
        (gpt.SRV, "Linux server data"),
        (gpt.VAR, "Linux variable data"),
        (gpt.TMP, "Linux temporary data"),
    ],
)
def test_sfdisk_calls_the_type_by_the_same_name(constant: uuid.UUID, name: str) -> None:
    types = output("sfdisk", "--label", "gpt", "--list-types")
    assert re.search(rf"^{str(constant).upper()} +{re.escape(name)}$", types, re.MULTILINE)


def test_sgdisk_takes_the_luks_type_for_luks(tmp_path: Path) -> None:
    table = dataclasses.replace(
        TABLE,
        partitions=(partition(1, 2048, 4095, type_guid=gpt.LINUX_LUKS),),
        empty_slots=frozenset(),
    )
    path = tmp_path / "disk.img"
    path.write_bytes(disk_image(table))
    assert "Linux LUKS" in output("sgdisk", "-i", "1", path)


@st.composite
def tables(draw: st.DrawFn) -> Gpt:
    size = draw(st.sampled_from((512, 4096)))
    entry_count = draw(st.sampled_from((128, 4, 256)))
    empty = Gpt(draw(st.uuids()), (), draw(st.integers(200, 1000)), size, entry_count)  # type: ignore[arg-type]
    usable = st.integers(empty.first_usable_lba, empty.last_usable_lba)
    cuts = sorted(draw(st.sets(usable, max_size=8)))
    ranges = list(zip(cuts[::2], cuts[1::2], strict=False))
    slots = draw(
        st.sets(st.integers(1, entry_count), min_size=len(ranges), max_size=len(ranges)).map(sorted)
    )
    guids = draw(st.sets(st.uuids(), min_size=len(ranges), max_size=len(ranges)))
    names = st.text("aZ09 -ü–𝄞\n", max_size=18)
    partitions = tuple(
        GptPartition(
            draw(st.uuids().filter(lambda u: u.int != 0)),
            guid,
            first,
            last,
            draw(st.integers(0, 2**64 - 1)),
            draw(names),
        )
        for (first, last), guid in zip(draw(st.permutations(ranges)), guids, strict=True)
    )
    gaps = frozenset(range(1, max(slots, default=0))) - frozenset(slots)
    return dataclasses.replace(empty, partitions=partitions, empty_slots=gaps)


@settings(deadline=None)
@given(tables())
def test_what_is_written_is_read_back(table: Gpt) -> None:
    assert gpt.read(io.BytesIO(disk_image(table))) == table


SMALL = disk_image(Gpt(DISK_GUID, (partition(1, 34, 40), partition(2, 41, 60)), 128))
META = [*range(512, 512 + 92), *range(1024, 1024 + 256)]


@settings(deadline=None)
@given(st.sampled_from(META + [len(SMALL) - 512 + n for n in range(92)]), st.integers(1, 255))
def test_one_changed_byte_in_header_or_entry_is_noticed(at: int, flip: int) -> None:
    broken = bytearray(SMALL)
    broken[at] ^= flip
    with pytest.raises(BadGpt):
        gpt.read(io.BytesIO(broken))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.binary(max_size=12)), max_size=6))
def test_nothing_but_bad_gpt_comes_out_of_a_broken_table(edits: list[tuple[int, bytes]]) -> None:
    """The CRCs are made right again, so that the checks behind them are reached."""
    broken = bytearray(SMALL)
    for at, data in edits:
        broken[at : at + len(data)] = data
    _fix_crcs(broken)
    try:
        gpt.read(io.BytesIO(broken))
    except BadGpt as error:
        assert error.field


@settings(deadline=None)
@given(st.binary(max_size=3000), st.sampled_from((512, 4096)))
def test_nothing_but_bad_gpt_comes_out_of_noise(noise: bytes, sector: int) -> None:
    disk = bytes(sector) + b"EFI PART" + noise
    with pytest.raises(BadGpt):
        gpt.read(io.BytesIO(disk))


def _fix_crcs(disk: bytearray) -> None:
    import zlib

    for header, entries in ((512, 1024), (len(disk) - 512, len(disk) - 512 * 33)):
        crc = zlib.crc32(disk[entries : entries + 128 * 128])
        disk[header + 88 : header + 92] = crc.to_bytes(4, "little")
        disk[header + 16 : header + 20] = bytes(4)
        crc = zlib.crc32(disk[header : header + 92])
        disk[header + 16 : header + 20] = crc.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (partition(9, 33, 100), "LBAs"),
        (partition(9, 100, 99), "LBAs"),
        (partition(9, 131000, SECTORS - 33), "LBAs"),
        (partition(9, 60000, 60001), "overlap"),
        (partition(9, 131001, 131001, name="x" * 37), "name"),
        (partition(9, 131001, 131001, name="a\0b"), "name"),
        (partition(9, 131001, 131001, name="\ud800"), "name"),
        (partition(9, 131001, 131001, attributes=-1), "attributes"),
        (partition(9, 131001, 131001, type_guid=uuid.UUID(int=0)), "type GUID"),
        (partition(1, 131001, 131001), "unique GUID"),
    ],
)
def test_a_partition_that_makes_no_valid_table_is_refused(bad: GptPartition, field: str) -> None:
    with pytest.raises(BadGpt, match=field):
        gpt.write(dataclasses.replace(TABLE, partitions=(*TABLE.partitions, bad)))


def test_more_partitions_than_entries_are_refused() -> None:
    with pytest.raises(BadGpt, match="4 entries"):
        gpt.write(dataclasses.replace(TABLE, entry_count=4))


def test_a_backup_header_that_is_not_at_the_end_is_named() -> None:
    with pytest.raises(BadGpt) as caught:
        gpt.read(io.BytesIO(SMALL + bytes(4096)))
    assert caught.value.field == "primary header, other LBA"


def test_a_backup_table_of_another_disk_is_named() -> None:
    other = disk_image(Gpt(uuid.UUID(int=7), (partition(1, 34, 40),), 128))
    mixed = SMALL[: 64 * 512] + other[64 * 512 :]
    with pytest.raises(BadGpt) as caught:
        gpt.read(io.BytesIO(mixed))
    assert caught.value.field == "backup header, disk_guid"


def test_a_disk_with_4096_byte_sectors_is_valid_for_sgdisk_too() -> None:
    table = Gpt(DISK_GUID, (partition(1, 6, 100),), 1000, 4096)
    areas = gpt.write(table)
    assert (areas.primary_offset, areas.backup_offset) == (4096, (1000 - 5) * 4096)
    assert (len(areas.primary), len(areas.backup)) == (5 * 4096, 5 * 4096)
    assert gpt.read(io.BytesIO(disk_image(table))) == table


def test_a_table_by_fdisk_with_sectors_of_4096_is_read_and_its_entries_are_written_alike(
    tmp_path: Path,
) -> None:
    """fdisk's first usable LBA is that of the first MiB, so headers are not compared."""
    path = tmp_path / "disk.img"
    with path.open("wb") as f:
        f.truncate(10240 * 4096)
    orders = ["g", "n", "1", "", "+8M", "t", "1", "n", "3", "", "+4M", "w", ""]
    command = ["fdisk", "-b", "4096", str(path)]
    subprocess.run(command, input="\n".join(orders), text=True, capture_output=True, check=True)
    raw = path.read_bytes()
    table = gpt.read(io.BytesIO(raw))
    assert table.sector_size == 4096
    assert [(n, p.first_lba, p.last_lba) for n, p in table.numbered()] == [
        (1, 256, 2303),
        (3, 2304, 3327),
    ]
    assert table.partitions[0].type_guid == gpt.ESP
    areas = gpt.write(table)
    entries = slice(2 * 4096, 6 * 4096)
    assert areas.primary[4096:] == raw[entries]
    assert raw[areas.backup_offset :].startswith(areas.backup[: 4 * 4096])
