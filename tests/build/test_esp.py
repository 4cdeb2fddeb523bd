"""The EFI system partition really holds its files, by the tools that make and read FAT."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.build.job import Job
from kiwilite.build.stages import esp
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


def step(fixed: int | None = None) -> Esp:
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
    )


def made(
    base: Path, uki: int, loader: int, fixed: int | None = None, *, built_at: int = 1_800_000_000
) -> Path:
    """Run the stage over files of these sizes; the image."""
    for folder in ("uki", "boot", "out", "scratch"):
        (base / folder).mkdir()
    noise = random.Random(uki + loader)
    (base / "uki/uki.efi").write_bytes(noise.randbytes(uki))
    (base / "boot/systemd-boot.efi").write_bytes(noise.randbytes(loader))
    for path in (base / "uki/uki.efi", base / "boot/systemd-boot.efi"):
        os.utime(path, (built_at, built_at))
    outputs = {"uki": base / "uki", "boot": base / "boot"}
    job = Job("ESP", base / "out", base / "scratch", base / "log", outputs, {}, base / "cache", {})
    esp.run(step(fixed), job)
    return base / "out/image"


def read(image: Path, name: str) -> bytes:
    done = subprocess.run(["mtype", "-i", image, f"::/{name}"], capture_output=True, check=True)
    return done.stdout


def check(base: Path, image: Path) -> None:
    """Contents as they were, and no complaint of fsck about kind, tables or clusters."""
    assert read(image, UKI) == (base / "uki/uki.efi").read_bytes()
    assert read(image, LOADER) == (base / "boot/systemd-boot.efi").read_bytes()
    assert b"timeout 3" in read(image, "loader/loader.conf")
    checked = subprocess.run(
        ["fsck.vfat", "-n", "-v", image], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout
    bits = fat_for(image.stat().st_size)
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
