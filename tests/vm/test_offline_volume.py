"""Volumes that were written without device-mapper, in the hands of stock kernels.

Each volume is read back and compared with what it was made from, mounted, written, shut
down without a chance to write its log back, recovered, checked, grown, and all that again.
Kernel, cryptsetup and xfsprogs are those of Debian 13 (6.12) and Debian 12 (6.1).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path

import pytest
from offline_volume import (
    BLOCK,
    ENCRYPTIONS,
    GROWN_BYTES,
    MIB,
    VOLUME_BYTES,
    Opened,
    Volume,
    blocks_with_data,
    digest_of,
    file_content,
    make_volume,
)
from volume_guest import SUITES, guest

from kiwilite.build.luks_volume import Fill, Journal
from kiwilite.vm.machine import Machine

Way = tuple[str, Fill, Journal]

SAMPLE: tuple[Way, ...] = (
    ("xts-hmac-4096", "sparse", "written"),
    ("gcm-4096", "full", "written"),
    ("gcm-512", "full", "deferred"),
)
FILLS: tuple[Fill, ...] = ("sparse", "full")
JOURNALS: tuple[Journal, ...] = ("written", "deferred")
ALL: tuple[Way, ...] = tuple(product(ENCRYPTIONS, FILLS, JOURNALS))
EILSEQ = "Invalid or incomplete multibyte or wide character"


@dataclass(frozen=True, slots=True)
class Damage:
    """Sectors of a damaged volume that must not be readable, and no others."""

    volume: Volume
    sectors: frozenset[int]


@dataclass(frozen=True, slots=True)
class Bench:
    """A running guest with volumes, damaged volumes and the names of their disks."""

    machine: Machine
    volumes: dict[Way, tuple[Volume, str]]
    damages: dict[str, tuple[Damage, str]]


@contextmanager
def bench(kernel: str, ways: Sequence[Way], directory: Path) -> Iterator[Bench]:
    volumes = [make_volume(directory, *way) for way in ways]
    damages = [damaged(directory, name) for name in ENCRYPTIONS]
    disks = [v.disk for v in volumes] + [d.volume.disk for d in damages]
    names = [f"/dev/vd{chr(ord('a') + number)}" for number in range(len(disks))]
    with guest(kernel, disks, directory) as machine:
        yield Bench(
            machine,
            dict(zip(ways, zip(volumes, names, strict=False), strict=True)),
            dict(zip(ENCRYPTIONS, zip(damages, names[len(ways) :], strict=True), strict=True)),
        )
    shutil.rmtree(directory)  # gigabytes, which pytest would keep for three more runs


def damaged(directory: Path, name: str) -> Damage:
    """A volume with a flipped bit in ciphertext, tag and IV, and two sectors swapped."""
    (directory / "damaged").mkdir(exist_ok=True)
    volume = make_volume(directory / "damaged", name, "sparse", "written")
    place, sector_bytes = volume.geometry, volume.encryption.sector_size
    step = place.block_sectors
    # Sectors in the head, which is written: 20 ciphertext, 25 tag, 30 IV, 35 and 41 swapped.
    broken = {20, 25, 35, 41}
    with volume.disk.open("r+b") as disk:

        def flip(offset: int) -> None:
            disk.seek(offset)
            byte = disk.read(1)[0]
            disk.seek(offset)
            disk.write(bytes([byte ^ 0x10]))

        def swap(one: int, other: int, size: int) -> None:
            disk.seek(one)
            first = disk.read(size)
            disk.seek(other)
            second = disk.read(size)
            disk.seek(other)
            disk.write(first)
            disk.seek(one)
            disk.write(second)

        flip(place.data_sector(20 * step) * 512 + 100)
        flip(place.tag_byte(25 * step) + 3)
        if iv_bytes := volume.encryption.iv_bytes:
            flip(place.tag_byte(30 * step) + place.tag_bytes - iv_bytes)
            broken.add(30)
        one, other = 35 * step, 41 * step
        swap(place.data_sector(one) * 512, place.data_sector(other) * 512, sector_bytes)
        swap(place.tag_byte(one), place.tag_byte(other), place.tag_bytes)
    return Damage(volume, frozenset(broken))


def reads_back_equal(volume: Volume, opened: Opened) -> None:
    """Full: the whole device. Sparse: all that is written, which is all that has data."""
    assert opened.size() == volume.geometry.provided_bytes == volume.source.stat().st_size
    extents = volume.written()
    if volume.fill == "sparse":
        inside = {b for first, count in extents for b in range(first, first + count)}
        assert inside.issuperset(blocks_with_data(volume.source))
    else:
        assert extents == ((0, volume.source.stat().st_size // BLOCK),)
    assert opened.digest(extents) == digest_of(volume.source, extents)


def serves_before_its_holes_are_filled(opened: Opened) -> None:
    """What it is found by, a mount, and recovery of a log with blocks that have data."""
    is_a_file_system(opened)
    with opened.mounted():
        opened.run("chmod 0751 /mnt/content && xfs_io -c fsync /mnt/content")
        opened.run("dmesg -c >/dev/null; xfs_io -x -c shutdown /mnt")
    with opened.mounted():
        said = opened.run("dmesg")
        assert "Starting recovery" in said and "AEAD ERROR" not in said
        assert opened.run("stat -c %a /mnt/content").strip() == "751"
        assert opened.run("sha256sum /mnt/content").split()[0] == sha256(file_content()).hexdigest()
    assert opened.repair_finds_nothing()


def holes_are_errors_until_they_are_filled(volume: Volume, opened: Opened) -> None:
    for start, length in volume.holes():
        last = (start + length) // volume.encryption.sector_size - 1
        assert EILSEQ in opened.failing_sectors(last, 1, volume.encryption.sector_size)[last]
        opened.zero(start, length)
    opened.run("dmesg -c >/dev/null")


def is_a_file_system(opened: Opened) -> None:
    assert opened.run(f"blkid -p -s TYPE -o value {opened.mapped}").strip() == "xfs"
    assert opened.repair_finds_nothing()


def takes_writes_and_reopens_equal(opened: Opened, folder: str) -> None:
    with opened.mounted():
        found = opened.run("sha256sum /mnt/content").split()[0]
        assert found == sha256(file_content()).hexdigest()
        opened.run(f"mkdir /mnt/{folder} && cd /mnt/{folder} && seq 100000 >numbers")
        opened.run(f"cd /mnt/{folder} && xfs_io -f -c 'pwrite -q -S 0x5a 0 16m' -c fsync odd")
        expected = bytearray(b"\x5a" * (16 * MIB))
        for offset in (1, 511, 513, 4095, 4097, 65535, MIB - 3, 16 * MIB - 777):
            command = f"pwrite -q -S {offset % 251} {offset} 777"
            opened.run(f"xfs_io -c '{command}' -c fsync /mnt/{folder}/odd")
            expected[offset : offset + 777] = bytes([offset % 251]) * 777
        opened.run(f"cd /mnt/{folder} && for i in $(seq 100); do echo $i >f$i; done && rm f?")
    assert opened.repair_finds_nothing()
    opened.close()
    opened.open()
    with opened.mounted():
        sums = opened.run(f"cd /mnt/{folder} && sha256sum odd numbers && cat f10 f99").split()
        numbers = "".join(f"{n}\n" for n in range(1, 100001)).encode()
        assert sums == [
            sha256(expected).hexdigest(), "odd", sha256(numbers).hexdigest(), "numbers", "10", "99"
        ]  # fmt: skip
        assert opened.run(f"ls /mnt/{folder} | wc -l").strip() == "93"


def recovers_its_log_after_a_forced_shutdown(opened: Opened, folder: str) -> None:
    with opened.mounted():
        opened.run(f"cd /mnt/{folder} && for i in $(seq 300); do echo $i >g$i; done; cd /")
        opened.run(f"xfs_io -c fsync /mnt/{folder}/g300")
        assert "AEAD ERROR" not in opened.run("dmesg -c")
        opened.run("xfs_io -x -c shutdown /mnt")
    with opened.mounted():
        assert "Starting recovery" in opened.run("dmesg")
        assert opened.run(f"cat /mnt/{folder}/g300").strip() == "300"
        assert opened.run(f"ls /mnt/{folder} | wc -l").strip() == "393"
    assert opened.repair_finds_nothing()


def grows(volume: Volume, opened: Opened) -> None:
    """Opened on a longer partition it has its old size once, then the new one."""
    opened.close()
    opened.detach()
    opened.attach(GROWN_BYTES)
    opened.open()
    opened.close()
    opened.open()
    old, new = volume.geometry.provided_bytes, volume.grown.provided_bytes
    assert opened.size() == new > old + 80 * MIB
    opened.zero(old, new - old)
    with opened.mounted():
        before = int(opened.run("df -m /mnt | tail -1 | awk '{print $2}'"))
        opened.run("xfs_growfs /mnt")
        assert int(opened.run("df -m /mnt | tail -1 | awk '{print $2}'")) >= before + 80
        # more than was free before, so that some of it is new
        writes = "-c 'pwrite -q -b 1m 0 16m' -c 'pwrite -q -b 1m 304m 16m' -c fsync"
        opened.run(f"xfs_io -f -c 'falloc 0 320m' {writes} /mnt/large && rm /mnt/large")
    is_a_file_system(opened)


def serves(volume: Volume, disk: str, machine: Machine) -> None:
    """All that a volume is for, from the first time it is opened."""
    opened = Opened(machine, disk)
    opened.attach(VOLUME_BYTES)
    opened.open()
    reads_back_equal(volume, opened)
    serves_before_its_holes_are_filled(opened)
    holes_are_errors_until_they_are_filled(volume, opened)
    is_a_file_system(opened)
    takes_writes_and_reopens_equal(opened, "new")
    recovers_its_log_after_a_forced_shutdown(opened, "new")
    grows(volume, opened)
    takes_writes_and_reopens_equal(opened, "grown")
    recovers_its_log_after_a_forced_shutdown(opened, "grown")
    assert "AEAD ERROR" not in opened.run("dmesg")
    opened.close()
    opened.detach()


def fails_where_it_is_damaged(damage: Damage, disk: str, machine: Machine) -> None:
    opened = Opened(machine, disk)
    opened.attach(VOLUME_BYTES)
    opened.open()
    failing = opened.failing_sectors(0, 64, damage.volume.encryption.sector_size)
    assert failing.keys() == damage.sectors
    assert all(EILSEQ in why for why in failing.values()), failing
    opened.close()
    opened.detach()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench("6.12", SAMPLE, tmp_path_factory.mktemp("sample")) as made:
        yield made


@pytest.mark.vm
@pytest.mark.parametrize("way", SAMPLE, ids="-".join)
def test_a_stock_kernel_takes_a_volume_written_offline(sample: Bench, way: Way) -> None:
    serves(*sample.volumes[way], sample.machine)


@pytest.mark.vm
@pytest.mark.parametrize("name", ENCRYPTIONS)
def test_exactly_the_damaged_sectors_are_io_errors(sample: Bench, name: str) -> None:
    """A flipped bit in ciphertext, tag and IV, two swapped sectors: their neighbours read."""
    fails_where_it_is_damaged(*sample.damages[name], sample.machine)


@pytest.fixture(scope="module", params=SUITES)
def everything(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    kernel: str = request.param
    with bench(kernel, ALL, tmp_path_factory.mktemp("all")) as made:
        yield made


@pytest.mark.soak
@pytest.mark.parametrize("way", ALL, ids="-".join)
def test_every_kernel_takes_every_volume_written_offline(everything: Bench, way: Way) -> None:
    serves(*everything.volumes[way], everything.machine)


@pytest.mark.soak
@pytest.mark.parametrize("name", ENCRYPTIONS)
def test_every_kernel_finds_exactly_the_damaged_sectors(everything: Bench, name: str) -> None:
    fails_where_it_is_damaged(*everything.damages[name], everything.machine)
