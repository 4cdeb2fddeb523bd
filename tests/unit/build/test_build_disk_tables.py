"""The tables of a disk as fdisk, sgdisk and partx read them: golden dumps."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.build import manifest
from kiwilite.build.geometry import write_geometry
from kiwilite.build.job import Job
from kiwilite.build.stages import disk
from kiwilite.errors import StageFailed
from kiwilite.ondisk import grub, mbr, seal
from kiwilite.plan.disk import TYPE_BIOS_BOOT, TYPE_ESP, TYPE_LINUX
from kiwilite.plan.image_steps import SEALED, Disk, HybridRow
from kiwilite.plan.partitions import MIB, Geometry, Partition, PartitionSize, layout
from kiwilite.plan.references import Output

NAMES = (("p.legacy", TYPE_BIOS_BOOT), ("p.UEFI", TYPE_ESP), ("home", TYPE_LINUX))
PARTITIONS = tuple(
    Partition(
        name=name,
        type_guid=type_guid,
        unique_guid=UUID(int=0xAB00 + number),
        size=PartitionSize("fixed", number * MIB),
        content="",
        mountpoint=None,
        where="",
    )
    for number, (name, type_guid) in enumerate(NAMES, 1)
)
CHOICE = (
    HybridRow("home", 0x83, False),
    HybridRow("p.UEFI", 0x0C, True),
    HybridRow("p.legacy", 0xDA, False),
)

GPT_512 = """\
Start   End Sectors Type-UUID                            UUID                                 Name
 2048  4095    2048 21686148-6449-6E6F-744E-656564454649 00000000-0000-0000-0000-00000000AB01 p.legacy
 4096  8191    4096 C12A7328-F81F-11D2-BA4B-00A0C93EC93B 00000000-0000-0000-0000-00000000AB02 p.UEFI
 8192 14335    6144 0FC63DAF-8483-4772-8E79-3D69D8477DE4 00000000-0000-0000-0000-00000000AB03 home
"""  # noqa: E501
GPT_4096 = """\
Start   End Sectors Type-UUID                            UUID                                 Name
  256   511     256 21686148-6449-6E6F-744E-656564454649 00000000-0000-0000-0000-00000000AB01 p.legacy
  512  1023     512 C12A7328-F81F-11D2-BA4B-00A0C93EC93B 00000000-0000-0000-0000-00000000AB02 p.UEFI
 1024  1791     768 0FC63DAF-8483-4772-8E79-3D69D8477DE4 00000000-0000-0000-0000-00000000AB03 home
"""  # noqa: E501
PROTECTIVE = {
    512: "Start   End Sectors Id Boot\n    1 16383   16383 ee\n",
    4096: "Start   End Sectors Id Boot\n    1  2047    2047 ee\n",
}
HYBRID = {
    512: """\
Start   End Sectors Id Boot
    1  2047    2047 ee
 8192 14335    6144 83
 4096  8191    4096  c *
 2048  4095    2048 da
""",
    4096: """\
Start   End Sectors Id Boot
    1   255     255 ee
 1024  1791     768 83
  512  1023     512  c *
  256   511     256 da
""",
}  # fmt: skip


def placed(sector: int) -> Geometry:
    return layout(PARTITIONS, {}, disk_size=8 * MIB, sector_size=sector, where="")


def job_in(folder: Path, earlier: Sequence[Path] = ()) -> Job:
    for name in ("out", "scratch", "layout", "bios", "home"):
        (folder / name).mkdir()
    outputs = {name: folder / name for name in ("layout", "bios", "home")}
    job = Job("", folder / "out", folder / "scratch", folder / "log", outputs, {}, folder, {})
    return replace(job, earlier=tuple(earlier))


def built(
    folder: Path,
    sector: int,
    hybrid: tuple[HybridRow, ...],
    core: bytes | None = None,
    home: bytes | None = None,
    earlier: Sequence[Path] = (),
) -> Path:
    """A disk without contents, but for GRUB and a home where these are given."""
    job = job_in(folder, earlier)
    write_geometry(placed(sector), folder / "layout")
    if core is not None:
        (folder / "bios/boot.img").write_bytes(boot_image())
        (folder / "bios/core.img").write_bytes(core)
    if home is not None:
        (folder / "home/image").write_bytes(home)
        (folder / manifest.FILE).write_bytes(home)  # as good as a digest of it
    step = Disk(
        layout=Output("layout"),
        partitions=PARTITIONS,
        contents=(("home", (Output("home"),)),) if home is not None else (),
        disk_guid=UUID(int=0xD15C << 96),
        sector_size=sector,
        hybrid=hybrid,
        marks=(),
        where="",
        bios=Output("bios") if core is not None else None,
    )
    disk.run(step, job)
    return folder / "out/disk.raw"


def boot_image() -> bytes:
    image = bytearray(512)
    image[:2], image[0x64], image[0x66:0x68], image[0x180:0x185] = (
        b"\xeb\x63", 0xFF, b"\xeb\x05", b"GRUB ",
    )  # fmt: skip
    image[0x5C] = 1
    return bytes(image)


def core_image(sectors: int) -> bytes:
    return bytes(0x1F4) + struct.pack("<QHH", 2, sectors - 1, 0x820) + b"\x11" * 512 * (sectors - 1)


def fdisk(raw: Path, sector: int, label: str, columns: str) -> str:
    """The list of partitions alone, of the GPT or of the MBR beside it."""
    command = ["fdisk", "-b", str(sector), "-t", label, "-l", "-o", columns, str(raw)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = done.stdout[done.stdout.index("Start") :].partition("\n\n")[0].splitlines()
    return "".join(f"{row.rstrip()}\n" for row in rows)


@pytest.mark.parametrize(("sector", "expected"), [(512, GPT_512), (4096, GPT_4096)])
def test_the_gpt_is_this(tmp_path: Path, sector: int, expected: str) -> None:
    raw = built(tmp_path, sector, CHOICE)
    assert fdisk(raw, sector, "gpt", "Start,End,Sectors,Type-UUID,UUID,Name") == expected


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_protective_mbr_is_this(tmp_path: Path, sector: int) -> None:
    raw = built(tmp_path, sector, ())
    assert fdisk(raw, sector, "dos", "Start,End,Sectors,Id,Boot") == PROTECTIVE[sector]


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_hybrid_mbr_has_partitions_types_and_the_active_one_as_chosen(
    tmp_path: Path, sector: int
) -> None:
    raw = built(tmp_path, sector, CHOICE)
    assert fdisk(raw, sector, "dos", "Start,End,Sectors,Id,Boot") == HYBRID[sector]


def test_sgdisk_finds_no_problem_and_calls_it_hybrid(tmp_path: Path) -> None:
    raw = built(tmp_path, 512, CHOICE)
    for command, words in ((["sgdisk", "-v"], "No problems found"), (["gdisk", "-l"], "hybrid")):
        done = subprocess.run([*command, raw], capture_output=True, text=True, check=True)
        assert words in done.stdout


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_geometry_that_another_program_reads_differently_ends_the_build(
    tmp_path: Path, sector: int
) -> None:
    raw = built(tmp_path, sector, ())
    (tmp_path / "again").mkdir()
    job = job_in(tmp_path / "again")
    disk.check_with_another_reader(raw, placed(sector), job)
    shifted = layout(PARTITIONS[1:], {}, disk_size=8 * MIB, sector_size=sector, where="")
    with pytest.raises(StageFailed):
        disk.check_with_another_reader(raw, shifted, job)


def test_the_seal_is_of_all_that_is_on_the_disk_and_of_no_zeros(tmp_path: Path) -> None:
    block = seal.BLOCK
    late = bytes(block - 1) + b"x"  # a glance at its beginning shows nothing
    raw = built(
        tmp_path, 512, (), home=b"a" * 5 * block + late + bytes(3 * block) + b"end"
    ).read_bytes()

    def blocks(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        return ((at, raw[at : min(end, at + block)]) for at in range(start, end, block))

    partitions = [(p.partition.name, p.start, p.size) for p in placed(512).placed]
    found = seal.unpack(raw[seal.OFFSET :])
    assert found == seal.seal([*seal.BOOT_RECORD, *partitions], blocks)
    home = [part for part in found if part.name == "home"]
    assert [part.length // block for part in home] == [1, 1, 1, 1, 1, 1, 3, 1, 38]
    assert {part.digest for part in home if part.length > block} == {seal.NOTHING}


BLOCK = seal.BLOCK
HOME = b"a" * 3 * BLOCK + bytes(2 * BLOCK) + b"b"


@pytest.fixture
def read_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where parts of a disk are read to be summed."""
    places: list[int] = []
    digest = seal.digest

    def note(start: int, end: int, blocks: seal.Blocks) -> bytes:
        places.append(start)
        return digest(start, end, blocks)

    monkeypatch.setattr(seal, "digest", note)
    return places


def summed_in_home(folder: Path, read_at: list[int], *earlier: Path, home: bytes = HOME) -> int:
    """How many parts of home are read to make this disk, whose seal must hold."""
    folder.mkdir()
    read_at.clear()
    raw = built(folder, 512, (), home=home, earlier=earlier).read_bytes()
    place = placed(512).find("home")
    count = sum(place.start <= at < place.start + place.size for at in read_at)
    for part in seal.unpack(raw[seal.OFFSET :]):
        blocks = (
            (at, raw[at : min(part.end, at + BLOCK)]) for at in range(part.start, part.end, BLOCK)
        )
        assert part.digest == seal.digest(part.start, part.end, lambda *_, b=blocks: b)
    return count


def test_of_a_partition_as_an_earlier_disk_had_it_nothing_is_read(
    tmp_path: Path, read_at: list[int]
) -> None:
    first = summed_in_home(tmp_path / "first", read_at)
    earlier = tmp_path / "first/out"
    assert first == 6
    assert summed_in_home(tmp_path / "again", read_at, tmp_path / "nowhere", earlier) == 0
    assert (tmp_path / "again/out/disk.raw").read_bytes() == (earlier / "disk.raw").read_bytes()


def test_other_contents_are_read(tmp_path: Path, read_at: list[int]) -> None:
    summed_in_home(tmp_path / "first", read_at)
    other = HOME.replace(b"b", b"c")
    assert summed_in_home(tmp_path / "other", read_at, tmp_path / "first/out", home=other) == 6


def test_a_note_of_an_earlier_disk_that_is_damaged_says_nothing(
    tmp_path: Path, read_at: list[int]
) -> None:
    summed_in_home(tmp_path / "first", read_at)
    note = tmp_path / "first/out" / SEALED
    before = note.read_bytes()
    for number, at in enumerate(range(0, len(before), len(before) // 9)):
        note.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
        assert summed_in_home(tmp_path / f"{number}", read_at, tmp_path / "first/out") == 6


def test_grub_is_in_the_mbr_and_in_p_legacy_and_the_table_stays(tmp_path: Path) -> None:
    raw = built(tmp_path, 512, CHOICE, core_image(9))
    content = raw.read_bytes()
    lba = grub.find_core(content)
    assert lba * 512 == placed(512).find("p.legacy").start
    assert grub.core_size(content[lba * 512 :], lba) == 9 * 512
    assert content[(lba + 1) * 512 :].startswith(b"\x11" * 8 * 512)
    assert fdisk(raw, 512, "dos", "Start,End,Sectors,Id,Boot") == HYBRID[512]
    assert mbr.Mbr.unpack(content).disk_signature == 0x0000D15C


def test_grub_behind_a_protective_mbr_too(tmp_path: Path) -> None:
    raw = built(tmp_path, 512, (), core_image(9))
    assert grub.find_core(raw.read_bytes()) == 2048
    assert fdisk(raw, 512, "dos", "Start,End,Sectors,Id,Boot") == PROTECTIVE[512]


def test_a_core_image_larger_than_p_legacy_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="there is room for 1048576"):
        built(tmp_path, 512, (), core_image(2049))


def test_the_geometry_beside_the_disk_tells_its_sectors(tmp_path: Path) -> None:
    raw = built(tmp_path, 4096, ())
    assert json.loads(raw.with_name("geometry.json").read_text())["sector_size"] == 4096
