"""The EFI system partition really holds its files, by the tools that make and read FAT."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.boot.uki import Uki, UkiProfile, assemble
from kiwilite.build.job import Job
from kiwilite.build.stages import esp
from kiwilite.errors import StageFailed
from kiwilite.ondisk import grub, grub_menu, pe
from kiwilite.plan.esp import fat_for, least_size
from kiwilite.plan.image_steps import Esp
from kiwilite.plan.partitions import MIB, DoesNotFit
from kiwilite.plan.references import Output

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(shutil.which("mcopy") is None, reason="mtools are not installed"),
]

UKI, LOADER = "EFI/Linux/image-1.0.0.efi", "EFI/BOOT/BOOTX64.EFI"
EPOCH = 1754697600


def step(fixed: int | None = None, sector: int = 512, *, bios: bool = False) -> Esp:
    return Esp(
        uki=Output("uki"),
        boot=Output("boot"),
        uki_name="image-1.0.0.efi",
        with_loader=True,
        loader_timeout=3,
        minimum=MIB,
        fixed_size=fixed,
        volume_id=0x12345678,
        where="appliance.kiwi:28:9",
        epoch=EPOCH,
        sector_size=sector,
        bios=bios,
    )


def made(
    base: Path,
    uki: int | bytes,
    loader: int,
    fixed: int | None = None,
    *,
    built_at: int = 1_800_000_000,
    sector: int = 512,
    bios: bool = False,
) -> Path:
    """Run the stage over files of these sizes, or this UKI; the image."""
    for folder in ("uki", "boot", "out", "scratch"):
        (base / folder).mkdir()
    noise = random.Random(loader)
    piece = b"" if isinstance(uki, bytes) else noise.randbytes(min(uki, 48 * MIB))
    content = uki if isinstance(uki, bytes) else (piece * (1 + uki // (48 * MIB)))[:uki]
    (base / "uki/uki.efi").write_bytes(content)
    (base / "boot/systemd-boot.efi").write_bytes(noise.randbytes(loader))
    for path in (base / "uki/uki.efi", base / "boot/systemd-boot.efi"):
        os.utime(path, (built_at, built_at))
    outputs = {"uki": base / "uki", "boot": base / "boot"}
    job = Job("ESP", base / "out", base / "scratch", base / "log", outputs, {}, base / "cache", {})
    esp.run(step(fixed, sector, bios=bios), job)
    return base / "out/image"


def read(image: Path, name: str) -> bytes:
    done = subprocess.run(["mtype", "-i", image, f"::/{name}"], capture_output=True, check=True)
    return done.stdout


def check(base: Path, image: Path, sector: int = 512) -> None:
    """Contents as they were, and no complaint of fsck about kind, tables or clusters."""
    assert read(image, UKI) == (base / "uki/uki.efi").read_bytes()
    assert read(image, LOADER) == (base / "boot/systemd-boot.efi").read_bytes()
    assert b"timeout 3" in read(image, "loader/loader.conf")
    checked = subprocess.run(
        ["fsck.vfat", "-n", "-v", image], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    bits = fat_for(image.stat().st_size, sector)
    assert f"{bits} bit entries" in checked.stdout or f"{bits}-bit" in checked.stdout.replace(
        " bit", "-bit"
    )


# Around the limits of FAT16 and FAT32, and anywhere.
SIZES = st.one_of(
    st.integers(0, 3 * MIB), st.integers(29 * MIB, 33 * MIB), st.integers(0, 48 * MIB)
)


@given(SIZES, st.integers(0, 200_000))
@settings(max_examples=25, deadline=None)
def test_the_size_chosen_holds_the_files_without_a_warning(uki: int, loader: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        image = made(base, uki, loader)
        assert image.stat().st_size == least_size([uki, loader, 60])
        check(base, image)


@pytest.mark.parametrize("mebibytes", [3, 4, 16, 31, 32, 33, 34, 64, 260])
def test_every_fixed_size_from_the_least_on_works(tmp_path: Path, mebibytes: int) -> None:
    image = made(tmp_path, 100_000, 50_000, mebibytes * MIB)
    assert image.stat().st_size == mebibytes * MIB
    check(tmp_path, image)


@pytest.mark.parametrize(("uki", "mebibytes"), [(10_000, 2), (9 * MIB, 9), (40 * MIB, 33)])
def test_a_fixed_size_too_small_is_told_with_the_line_and_the_least(
    tmp_path: Path, uki: int, mebibytes: int
) -> None:
    with pytest.raises(DoesNotFit) as caught:
        made(tmp_path, uki, 50_000, mebibytes * MIB)
    least = least_size([uki, 50_000, 60]) // MIB
    assert caught.value.where == "appliance.kiwi:28:9"
    assert f"{mebibytes} MiB" in caught.value.message
    assert f"{least} MiB" in caught.value.message
    assert f'efipartsize="{least}"' in (caught.value.hint or "")


def test_two_images_of_the_same_files_are_the_same_bytes_whenever_those_were_made(
    tmp_path: Path,
) -> None:
    digests = set()
    for name, built_at in (("one", 1_800_000_000), ("other", 1_900_000_000)):
        (tmp_path / name).mkdir()
        image = made(tmp_path / name, 5 * MIB, 50_000, built_at=built_at)
        digests.add(hashlib.sha256(image.read_bytes()).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("folder", ["EFI/BOOT", "EFI/Linux", "loader"])
def test_every_time_stamp_is_the_description_s(tmp_path: Path, folder: str) -> None:
    image = made(tmp_path, 100_000, 50_000)
    listing = subprocess.run(
        ["mdir", "-i", image, f"::/{folder}"],
        env={**os.environ, "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=True,
    )
    dates = re.findall(r"\d{4}-\d{2}-\d{2} +\d+:\d+", listing.stdout)
    assert len(dates) == 3
    assert {d.split()[0] for d in dates} == {"2025-08-09"}


def geometry_of(image: Path) -> tuple[int, int]:
    """Bytes of a sector and sectors of a cluster, from the boot sector."""
    sector, cluster = struct.unpack_from("<HB", image.read_bytes()[:512], 11)
    return sector, cluster


@pytest.mark.parametrize("size", [10_000, 20 * MIB, 255 * MIB, 260 * MIB])
def test_for_sectors_of_4096_the_fat_has_them_too(tmp_path: Path, size: int) -> None:
    image = made(tmp_path, size, 50_000, sector=4096)
    assert image.stat().st_size == least_size([size, 50_000, 60], 4096)
    assert geometry_of(image) == (4096, 1)
    check(tmp_path, image, 4096)


def made_up_stub() -> bytes:
    """An EFI image that does nothing, with room for sections and a stub's word of its version."""
    headers = 0x600
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x206)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        *(0x20B, 0, 0, 0x200, 0x200, 0, 0x1000, 0x1000, 0x140000000, 0x1000, 0x200),
        *(0, 0, 0, 0, 0, 0, 0, 0x2000, headers, 0, 10, 0x160, 0, 0, 0, 0, 0, 16),
    ).ljust(240, b"\0")
    text = struct.pack("<8sIIII12sI", b".text", 10, 0x1000, 0x200, headers, bytes(12), pe.CODE)
    raw = (dos + b"PE\0\0" + coff + optional + text).ljust(headers, b"\0") + bytes(0x200)
    said = b"#### LoaderInfo: systemd-stub 257.13 ####\0"
    return pe.append(raw, [pe.Section(".sdmagic", said)])


def uki_with(linux: bytes, initrd: bytes, *cmdlines: str) -> bytes:
    profiles = tuple(UkiProfile(f"p{n}", f"Entry {n}", line) for n, line in enumerate(cmdlines))
    return assemble(made_up_stub(), Uki(linux, initrd, b"ID=debian\n", "6.12.1-amd64", profiles))


def test_for_a_bios_kernel_and_initrd_stand_beside_the_uki_as_they_are_in_it(
    tmp_path: Path,
) -> None:
    noise = random.Random(1)
    linux, initrd = made_up_stub() + noise.randbytes(1_000_001), noise.randbytes(2_000_003)
    content = uki_with(linux, initrd, "console=ttyS0 roothash=ab", "roothash=ab reset")
    image = made(tmp_path, content, 50_000, bios=True)
    check(tmp_path, image)
    assert read(image, grub.LINUX_FILE) == linux
    assert read(image, grub.INITRD_FILE) == initrd
    assert grub_menu.read(read(image, grub.MENU_FILE).decode()) == (
        grub_menu.MenuEntry("p0", "Entry 0", "console=ttyS0 roothash=ab"),
        grub_menu.MenuEntry("p1", "Entry 1", "roothash=ab reset"),
    )


def test_the_copies_for_a_bios_are_counted_into_the_size(tmp_path: Path) -> None:
    content = uki_with(made_up_stub() + bytes(4 * MIB), bytes(6 * MIB), "roothash=ab")
    image = made(tmp_path, content, 50_000, bios=True)
    assert image.stat().st_size >= len(content) + 10 * MIB
    check(tmp_path, image)


def test_a_command_line_that_grub_would_change_ends_the_build(tmp_path: Path) -> None:
    with pytest.raises(StageFailed, match="backslash"):
        made(tmp_path, uki_with(made_up_stub(), b"initrd", "a=\\n"), 50_000, bios=True)
