"""One image boots by UEFI and by BIOS, from every kind of disk, with both sector sizes.

All of it is for `make soak`; `make test` takes a sample of the same.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import matrix_appliance
import pytest
from matrix_appliance import Seen

from kiwilite.boot import uki
from kiwilite.build import image
from kiwilite.build.configuration import Configuration
from kiwilite.build.executor import execute
from kiwilite.build.progress import Progress
from kiwilite.description.load import load
from kiwilite.ondisk import grub, grub_menu, mbr
from kiwilite.vm.machine import Bus, Disk, Firmware, Writes

pytestmark = pytest.mark.vm

UEFI, BIOS = Firmware.UEFI, Firmware.BIOS
MATRIX = [
    *((firmware, bus, 512) for firmware in Firmware for bus in Bus),
    *((UEFI, bus, 4096) for bus in (Bus.VIRTIO, Bus.NVME, Bus.USB)),
]
SAMPLE = [(BIOS, Bus.AHCI, 512), (UEFI, Bus.NVME, 512), (UEFI, Bus.USB, 4096)]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Raw disks by the size of their sectors."""
    base = tmp_path_factory.mktemp("matrix")
    names = {512: "both-firmwares", 4096: "4096"}
    return {size: matrix_appliance.build(base, name) for size, name in names.items()}


@pytest.fixture(scope="session")
def encrypted_images(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The same with an overlay on an encrypted volume, made with the image."""
    base = tmp_path_factory.mktemp("encrypted")
    names = {512: "both-firmwares-with-volume", 4096: "4096-with-volume"}
    return {size: matrix_appliance.build(base, name) for size, name in names.items()}


@pytest.fixture(scope="session")
def twin(images: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A disk with the same labels, names, FAT volume id and contents, but GUIDs of its own."""
    path = tmp_path_factory.mktemp("twin") / "twin.raw"
    subprocess.run(["cp", "--sparse=always", images[512], path], check=True)
    subprocess.run(["sgdisk", "--randomize-guids", path], check=True, capture_output=True)
    return path


def check(seen: Seen, firmware: Firmware, sector_size: int) -> None:
    """The root and all else came from the disk to boot from, by the firmware asked for."""
    assert seen["firmware"] == firmware.value
    assert (seen["serial"], seen["sector"]) == ("disk0", str(sector_size))
    assert seen["root"] == "overlay squashfs"
    assert (seen["home"], seen["srv"]) == (f"ext4 {seen['disk']}", f"xfs {seen['disk']}")
    assert seen["written"] == "hello"


@pytest.mark.parametrize(("firmware", "bus", "sector_size"), SAMPLE)
def test_a_sample_boots(
    images: dict[int, Path], firmware: Firmware, bus: Bus, sector_size: int
) -> None:
    seen = matrix_appliance.boot(images[sector_size], firmware, bus, sector_size)
    check(seen, firmware, sector_size)


@pytest.mark.soak
@pytest.mark.parametrize(("firmware", "bus", "sector_size"), MATRIX)
def test_every_firmware_boots_from_every_bus(
    encrypted_images: dict[int, Path], firmware: Firmware, bus: Bus, sector_size: int
) -> None:
    seen = matrix_appliance.boot(encrypted_images[sector_size], firmware, bus, sector_size)
    check(seen, firmware, sector_size)
    assert seen["upper"] == "hello"
    assert "opening the overlay volume" in seen.text


@pytest.mark.soak
def test_the_factory_reset_is_an_entry_of_grub_s_menu_too(
    encrypted_images: dict[int, Path],
) -> None:
    said = matrix_appliance.boot_second_entry(encrypted_images[512])
    assert "factory reset done" in said
    assert "upper: hello" in said, said


def boot_beside_a_twin(raw: Path, twin: Path, firmware: Firmware, bus: Bus, other: Bus) -> None:
    others = (Disk(twin, bus=other, writes=Writes.DISCARDED),)
    check(matrix_appliance.boot(raw, firmware, bus, 512, others), firmware, 512)


def test_of_two_disks_with_the_same_labels_a_bios_takes_its_own(
    images: dict[int, Path], twin: Path
) -> None:
    """The kernel finds the twin first, as its bus is faster than USB."""
    boot_beside_a_twin(images[512], twin, BIOS, Bus.USB, Bus.VIRTIO)


@pytest.mark.soak
@pytest.mark.parametrize("firmware", Firmware)
@pytest.mark.parametrize(
    ("bus", "other"), [(Bus.USB, Bus.VIRTIO), (Bus.VIRTIO, Bus.VIRTIO), (Bus.AHCI, Bus.NVME)]
)
def test_of_two_disks_with_the_same_labels_the_own_one_is_taken(
    images: dict[int, Path], twin: Path, firmware: Firmware, bus: Bus, other: Bus
) -> None:
    boot_beside_a_twin(images[512], twin, firmware, bus, other)


def test_what_a_bios_starts_is_what_the_uki_has(images: dict[int, Path], tmp_path: Path) -> None:
    """Kernel and initrd byte for byte, command lines word for word, and the way to them."""
    raw = images[512]
    esp, legacy = (matrix_appliance.place_of(raw, name) for name in ("p.UEFI", "p.legacy"))
    files = {}
    for name in (grub.LINUX_FILE, grub.INITRD_FILE, grub.MENU_FILE):
        target = tmp_path / Path(name).name
        source = f"{raw}@@{esp}"
        subprocess.run(["mcopy", "-n", "-i", source, f"::/{name}", target], check=True)
        files[name] = target.read_bytes()
    built = uki.read(raw.with_suffix(".efi").read_bytes())
    assert files[grub.LINUX_FILE] == built.linux
    assert files[grub.INITRD_FILE] == built.initrd
    menu = grub_menu.read(files[grub.MENU_FILE].decode())
    assert [grub_menu.kernel_words(e.cmdline) for e in menu] == [
        grub_menu.kernel_words(p.cmdline) for p in built.profiles
    ]
    with raw.open("rb") as disk:
        record = disk.read(512)
        lba = grub.find_core(record)
        disk.seek(lba * grub.SECTOR)
        core = disk.read(grub.SECTOR)
    assert lba * grub.SECTOR == legacy
    assert 64 << 10 < grub.core_size(core, lba) <= 2 << 20
    shown = mbr.Mbr.unpack(record).entries[1:]
    assert [entry.boot for entry in shown] == [mbr.BootIndicator.ACTIVE] + [
        mbr.BootIndicator.INACTIVE
    ] * 2


def test_the_grub_that_is_made_is_the_same_every_time(tmp_path: Path) -> None:
    """Taken out of the store and made again, from the same packages."""
    appliance, _ = load(matrix_appliance.description(tmp_path, "both-firmwares"), ())
    site, watcher = image.site_for(appliance, Configuration()), Progress()
    _, keyed = image.planned(appliance, site, watcher, refresh=False, tell=watcher.tell)
    parts = [keyed.output(site.store, "bios-boot") / name for name in ("boot.img", "core.img")]
    execute(keyed, ["bios-boot"], site, watcher)
    before = [path.read_bytes() for path in parts]
    parts[0].parent.parent.rename(tmp_path / "aside")
    execute(keyed, ["bios-boot"], site, watcher)
    assert [path.read_bytes() for path in parts] == before
