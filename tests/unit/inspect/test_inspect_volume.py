"""Encrypted volumes: with the key every wrong sector is found, and told from unwritten ones."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
import synthetic_disk
from synthetic_disk import MIB, flip
from volume_disk import CIPHERS, KEYS, SIZE, START, TOOLS, made
from written_journal import committed, section_start

from kiwilite.build.luks_volume import VolumeIdentity, geometry_for, write_volume
from kiwilite.inspect.allocation import allocation
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.look import look
from kiwilite.inspect.regions import Region, State, state_at
from kiwilite.inspect.source import opened
from kiwilite.inspect.verdict import JOURNAL, KEYSLOT, VOLUME, Verdict
from kiwilite.inspect.verify import Given, Report, verify
from kiwilite.inspect.volume import Key
from kiwilite.ondisk.integrity import SECTOR, Geometry

pytestmark = pytest.mark.skipif(
    any(shutil.which(t) is None for t in TOOLS), reason=f"{', '.join(TOOLS)} are not all installed"
)


@pytest.fixture(scope="module", params=sorted(CIPHERS))
def sparse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Geometry]:
    return made(tmp_path_factory.mktemp("sparse"), request.param, "sparse")


def checked(path: Path, *keys: bytes) -> Report:
    with opened(path) as disk:
        return verify(disk, Given(tuple(Key("test", k) for k in keys)))


def wrong(report: Report) -> list[str]:
    return [f.what for f in report.findings if f.severity is not Severity.NOTE]


def test_a_volume_with_holes_is_sound_and_its_holes_are_unallocated(
    sparse: tuple[Path, Geometry],
) -> None:
    path, geometry = sparse
    report = checked(path, b"first")
    assert wrong(report) == []
    written = START + geometry.data_sector(8) * SECTOR
    assert state_at(report.regions, written) is State.CHECKED
    assert state_at(report.regions, START + geometry.tag_byte(8)) is State.CHECKED
    hole = START + geometry.data_sector(40 * MIB // SECTOR) * SECTOR
    assert state_at(report.regions, hole) is State.UNALLOCATED


def test_any_keyslot_s_key_will_do(sparse: tuple[Path, Geometry]) -> None:
    path, _ = sparse
    assert wrong(checked(path, b"second\n")) == []
    assert wrong(checked(path, b"second")) == ["none of the keys opens the volume"]


def test_without_a_key_it_says_what_was_not_checked(sparse: tuple[Path, Geometry]) -> None:
    path, geometry = sparse
    report = checked(path)
    assert wrong(report) == []
    assert any("no key is given" in f.what for f in report.findings)
    data = START + geometry.data_sector(8) * SECTOR
    assert state_at(report.regions, data) is State.UNCHECKED
    assert report.verdict is Verdict.INCOMPLETE
    remedies = {each.why: each.remedy for each in report.unchecked}
    assert "--key-file" in remedies[VOLUME]
    assert "--key-file" in remedies[KEYSLOT]


def test_all_keys_leave_open_what_has_no_check_and_nothing_else(
    sparse: tuple[Path, Geometry],
) -> None:
    path, geometry = sparse
    report = checked(path, b"first", b"second\n")
    assert report.verdict is Verdict.INCOMPLETE
    assert [(u.why, u.size) for u in report.unchecked] == [(JOURNAL, geometry.journal_bytes)]


def unallocated(regions: tuple[Region, ...]) -> list[tuple[int, int]]:
    """Ranges of the volume's partition that nobody reads."""
    rows: list[tuple[int, int]] = []
    for region in regions:
        if region.state is State.UNALLOCATED and region.part == "p.lxroot":
            start = rows.pop()[0] if rows and rows[-1][1] == region.start else region.start
            rows.append((start, region.end))
    return rows


@pytest.mark.parametrize("journal", ["empty", "with blocks"])
def test_inspect_and_verify_agree_on_what_is_unallocated_with_a_key_and_without(
    sparse: tuple[Path, Geometry], journal: str
) -> None:
    path, _ = sparse
    with torn(sparse) if journal == "with blocks" else nullcontext():
        with opened(path) as disk:
            declared = allocation(look(disk))
        with_key, without = checked(path, b"first", b"second\n"), checked(path)
    assert (declared[0].start, declared[-1].end) == (0, path.stat().st_size)
    assert all(a.end == b.start for a, b in pairwise(declared))
    rows = unallocated(declared)
    assert sum(end - start for start, end in rows) > 100 * MIB
    assert rows == unallocated(with_key.regions) == unallocated(without.regions)


@pytest.mark.parametrize(
    ("state", "said"),
    [("provisioning", "provisioning was interrupted"), ("reset", "a factory reset was asked for")],
)
def test_a_volume_that_the_next_boot_makes_anew_is_said_to_be_one(
    sparse: tuple[Path, Geometry], tmp_path: Path, state: str, said: str
) -> None:
    path, _ = sparse
    header = tmp_path / "header"
    with path.open("r+b") as disk:
        before = os.pread(disk.fileno(), 17 * MIB, START)
        header.write_bytes(before)
        subprocess.run(
            ["cryptsetup", "config", "--label", str(UUID(int=2)), "--subsystem",
             f"kiwilite-{state}", header],
            check=True,
        )  # fmt: skip
        os.pwrite(disk.fileno(), header.read_bytes(), START)
        findings = wrong(checked(path))
        os.pwrite(disk.fileno(), before, START)
    assert findings == [said]


@pytest.mark.parametrize("what", ["ciphertext", "tag", "end of the tag"])
def test_a_flipped_bit_is_placed_at_its_sector(sparse: tuple[Path, Geometry], what: str) -> None:
    path, geometry = sparse
    sector = 64
    offset = (
        START
        + {
            "ciphertext": geometry.data_sector(sector) * SECTOR + 100,
            "tag": geometry.tag_byte(sector),
            "end of the tag": geometry.tag_byte(sector) + geometry.tag_bytes - 1,
        }[what]
    )
    flip(path, offset, 5)
    report = checked(path, b"first")
    flip(path, offset, 5)
    (found,) = [f for f in report.findings if f.severity is Severity.ERROR]
    block = geometry.block_sectors * SECTOR
    start = START + geometry.data_sector(sector) * SECTOR
    assert (found.place.start, found.place.end) == (start, start + block)
    assert found.touches(offset, offset + 1)


def test_a_written_sector_that_became_a_hole_is_found(sparse: tuple[Path, Geometry]) -> None:
    path, geometry = sparse
    data, tag = geometry.data_sector(64) * SECTOR, geometry.tag_byte(64)
    block = geometry.block_sectors * SECTOR
    with path.open("r+b") as disk:
        fd = disk.fileno()
        before = os.pread(fd, block, START + data), os.pread(fd, geometry.tag_bytes, START + tag)
        os.pwrite(fd, bytes(block), START + data)
        os.pwrite(fd, bytes(geometry.tag_bytes), START + tag)
        said = wrong(checked(path, b"first"))
        os.pwrite(fd, before[0], START + data)
        os.pwrite(fd, before[1], START + tag)
    assert any("were never written" in line for line in said)


def test_a_full_volume_is_checked_to_its_end(tmp_path: Path) -> None:
    path, geometry = made(tmp_path, "gcm", "full")
    report = checked(path, b"first")
    assert wrong(report) == []
    hole = START + geometry.data_sector(40 * MIB // SECTOR) * SECTOR
    assert state_at(report.regions, hole) is State.CHECKED


def test_damage_in_the_file_system_inside_is_found_by_its_checker(tmp_path: Path) -> None:
    chosen = CIPHERS["gcm"]
    geometry = geometry_for(SIZE, chosen, "written")
    plain, image = tmp_path / "plain", tmp_path / "volume"
    with plain.open("wb") as out:
        out.truncate(geometry.provided_bytes)
    command = ["mkfs.xfs", "-q", "-f", "-s", "size=4096", str(plain)]
    subprocess.run(command, check=True, capture_output=True)
    flip(plain, 3 * 4096 + 50)  # the free space's tree, which has a checksum
    identity = VolumeIdentity(UUID(int=1), UUID(int=2))
    write_volume(image, SIZE, plain, chosen, KEYS, identity, fill="full", journal="written")
    disk = synthetic_disk.make(tmp_path / "disk", size=SIZE + 11 * MIB, last=b"")
    with disk.open("r+b") as out, image.open("rb") as volume:
        out.seek(START)
        shutil.copyfileobj(volume, out, MIB)
    assert any(line.startswith("xfs_repair: ") for line in wrong(checked(disk, b"first")))


Volume = tuple[Path, Geometry]
BLOCKS = (0, 64)
"""Logical sectors of blocks that were written: the first one has the XFS's superblock."""


@contextmanager
def written(path: Path, *pieces: tuple[int, bytes]) -> Iterator[None]:
    """Bytes at offsets of the volume's partition, for as long as this lasts."""
    with path.open("r+b") as disk:
        fd = disk.fileno()
        before = [(at, os.pread(fd, len(data), START + at)) for at, data in pieces]
        for at, data in pieces:
            os.pwrite(fd, data, START + at)
        yield
        for at, data in before:
            os.pwrite(fd, data, START + at)


@contextmanager
def torn(volume: Volume) -> Iterator[int]:
    """Blocks whole in the journal only, as after a power cut; the first one's byte there."""
    path, geometry = volume
    size = geometry.block_sectors * SECTOR
    entries, pieces = {}, []
    with path.open("rb") as disk:
        fd = disk.fileno()
        for sector in BLOCKS:
            data, tag = geometry.data_sector(sector) * SECTOR, geometry.tag_byte(sector)
            block = os.pread(fd, size, START + data)
            entries[sector] = block, os.pread(fd, geometry.tag_bytes, START + tag)
            pieces += [(data, bytes(size // 2)), (tag, b"\xff" * 8)]
    start = section_start(geometry, 0)
    with written(path, *pieces, (start, committed(geometry, 0, 1, entries))):
        yield start + 8 * SECTOR


def test_blocks_that_are_whole_in_the_journal_only_are_no_damage(sparse: Volume) -> None:
    path, geometry = sparse
    with torn(sparse) as source:
        report = checked(path, b"first")
    assert wrong(report) == []
    assert report.verdict is Verdict.INCOMPLETE
    (told,) = [f.what for f in report.findings if "pending" in f.what]
    assert "the integrity journal has 2 blocks pending" in told
    in_place = START + geometry.data_sector(BLOCKS[0]) * SECTOR
    assert state_at(report.regions, START + source) is State.CHECKED
    assert state_at(report.regions, in_place) is State.UNALLOCATED
    assert state_at(report.regions, START + geometry.tag_byte(BLOCKS[0])) is State.UNALLOCATED


def test_pending_blocks_are_told_of_without_a_key(sparse: Volume) -> None:
    with torn(sparse):
        assert any("2 blocks pending" in f.what for f in checked(sparse[0]).findings)
    assert not any("pending" in f.what for f in checked(sparse[0]).findings)


def test_a_torn_block_that_is_in_no_journal_is_damage(sparse: Volume) -> None:
    path, geometry = sparse
    fresh = committed(geometry, 0, 0, {})
    with torn(sparse), written(path, (section_start(geometry, 0), fresh)):
        assert any("do not go with their tags" in line for line in wrong(checked(path, b"first")))


def test_damage_in_the_journal_s_copy_is_placed_there_too(sparse: Volume) -> None:
    path, _ = sparse
    with torn(sparse) as source:
        flip(path, START + source + 100)
        report = checked(path, b"first")
    (found,) = [f for f in report.findings if f.severity is Severity.ERROR]
    assert "do not go with their tags" in found.what
    assert found.touches(START + source + 100, START + source + 101)


def test_an_xfs_in_a_volume_that_was_not_unmounted_is_a_warning(tmp_path: Path) -> None:
    path, _ = made(tmp_path, "gcm", "sparse", dirty=True)
    report = checked(path, b"first")
    (line,) = wrong(report)
    assert "was not unmounted" in line
    assert Severity.ERROR not in {f.severity for f in report.findings}
