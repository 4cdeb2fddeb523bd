"""A larger disk with the same contents; never a smaller one than what is on it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import synthetic_disk
from synthetic_disk import MIB, flip

from kiwilite.errors import UsageError
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.resize import CannotResize, parse_size, resize
from kiwilite.inspect.source import opened
from kiwilite.inspect.verify import Given, verify
from kiwilite.ondisk import gpt, mbr

TOOLS = ("sgdisk", "mke2fs", "e2fsck", "qemu-img")
pytestmark = pytest.mark.skipif(
    any(shutil.which(t) is None for t in TOOLS), reason=f"{', '.join(TOOLS)} are not all installed"
)


def sizes(path: Path) -> dict[str, int]:
    with path.open("rb") as disk:
        table = gpt.read(disk)
    return {p.name: p.sectors * table.sector_size for p in table.partitions}


def no_problem(path: Path) -> None:
    """sgdisk and our own check are content, but for the boot image, which there is none of."""
    said = subprocess.run(["sgdisk", "-v", str(path)], capture_output=True, text=True, check=True)
    assert "No problems found" in said.stdout, said.stdout
    with opened(path) as disk:
        report = verify(disk, Given())
    loud = [f for f in report.findings if f.severity is not Severity.NOTE]
    assert all("not what the policy names" in f.what for f in loud), loud


def content(path: Path, size: int = 11 * MIB) -> bytes:
    with path.open("rb") as disk:
        disk.seek(MIB)
        return disk.read(size - MIB)


@pytest.mark.parametrize("hybrid", [False, True])
def test_the_last_partition_fills_the_larger_disk(tmp_path: Path, hybrid: bool) -> None:
    path = synthetic_disk.make(tmp_path / "disk", hybrid=hybrid)
    before = content(path)
    resize(path, 2048 * MIB, path)
    assert path.stat().st_size == 2048 * MIB
    assert sizes(path)["p.lxroot"] == (2048 - 11) * MIB
    assert content(path) == before
    no_problem(path)
    assert path.stat().st_blocks * 512 < 20 * MIB


def test_the_mbr_follows(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk", hybrid=True)
    resize(path, 1024 * MIB, path)
    record = mbr.Mbr.unpack(path.read_bytes()[:512])
    assert [e.sectors for e in record.entries[1:]] == [8 * MIB // 512, (1024 - 11) * MIB // 512]


def test_another_file_gets_the_result_and_the_image_stays(tmp_path: Path) -> None:
    path, output = synthetic_disk.make(tmp_path / "disk"), tmp_path / "larger"
    before = path.read_bytes()
    resize(path, 512 * MIB, output)
    assert path.read_bytes() == before
    assert output.stat().st_size == 512 * MIB
    no_problem(output)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["disk", "larger"]


def test_qcow2_stays_qcow2(tmp_path: Path) -> None:
    raw, path = synthetic_disk.make(tmp_path / "disk"), tmp_path / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", str(raw), str(path)], check=True)
    resize(path, 600 * MIB, path)
    assert path.read_bytes()[:4] == b"QFI\xfb"
    subprocess.run(["qemu-img", "convert", "-O", "raw", str(path), str(raw)], check=True)
    assert sizes(raw)["p.lxroot"] == (600 - 11) * MIB
    no_problem(raw)


def test_no_smaller_than_what_is_on_it(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    before = path.read_bytes()
    with pytest.raises(CannotResize, match="332 MiB at least"):
        resize(path, 331 * MIB, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["disk"]


def test_a_partition_that_awaits_its_first_boot_may_get_smaller(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    resize(path, 350 * MIB, path)
    assert sizes(path)["p.lxroot"] == (350 - 11) * MIB
    no_problem(path)


def test_a_provisioned_volume_stays_as_it_is_and_is_said_to(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk", last=b"LUKS\xba\xbe\0\2")
    told = resize(path, 600 * MIB, path)
    assert sizes(path)["p.lxroot"] == 389 * MIB
    assert any("only a boot can grow what is inside" in line for line in told)
    with pytest.raises(CannotResize, match="400 MiB at least"):
        resize(path, 399 * MIB, path)


def test_a_damaged_table_is_not_written_over(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    flip(path, 512 + 60)
    before = path.read_bytes()
    with pytest.raises(CannotResize, match="damaged"):
        resize(path, 600 * MIB, path)
    assert path.read_bytes() == before


def test_the_seal_of_what_was_damaged_before_is_not_renewed(tmp_path: Path) -> None:
    path = synthetic_disk.make(tmp_path / "disk")
    flip(path, 5 * MIB + 7)  # a free block of the ext4: only the seal knows
    resize(path, 600 * MIB, path)
    with opened(path) as disk:
        report = verify(disk, Given())
    assert any(f.touches(5 * MIB + 7, 5 * MIB + 8) for f in report.findings)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8G", 8 << 30), ("8192M", 8 << 30), ("8GiB", 8 << 30), ("1048576", MIB), ("2048K", 2 * MIB)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "8X", "-8G", "1000", "8.5G", "G"])
def test_what_is_no_size_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)
