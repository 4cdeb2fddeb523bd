"""FAT file systems that mtools fill read back, and what is amiss with one is found."""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from kiwilite.ondisk import fat

MIB = 1 << 20
TOOLS = ("mkfs.vfat", "mcopy", "mmd")
pytestmark = pytest.mark.skipif(
    any(shutil.which(t) is None for t in TOOLS), reason="mtools or dosfstools are not installed"
)
KINDS = {12: MIB, 16: 5 * MIB, 32: 34 * MIB}
FILES = {
    "EFI/BOOT/BOOTX64.EFI": 70_000,
    "EFI/Linux/an-image-with-a-long-name-1.0.0.efi": 200_001,
    "loader/loader.conf": 43,
    "empty.txt": 0,
    "UPPER.TXT": 512,
}


@pytest.fixture(scope="module", params=sorted(KINDS))
def volume(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FAT of each kind with the files above."""
    bits: int = request.param
    folder = tmp_path_factory.mktemp(f"fat{bits}")
    path = folder / "image"
    with path.open("wb") as out:
        out.truncate(KINDS[bits])
    command = ["mkfs.vfat", "-F", str(bits), "-s", "1", "-S", "512", "-n", "EFI", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    for name in ("EFI", "EFI/BOOT", "EFI/Linux", "loader"):
        subprocess.run(["mmd", "-i", str(path), f"::/{name}"], check=True)
    for name, size in FILES.items():
        source = folder / "source"
        source.write_bytes(content(name, size))
        subprocess.run(["mcopy", "-i", str(path), str(source), f"::/{name}"], check=True)
    return path


def content(name: str, size: int) -> bytes:
    return random.Random(name).randbytes(size)


def read(raw: bytes) -> fat.Fat:
    return fat.read(lambda at, length: raw[at : at + length], len(raw))


def test_files_read_back(volume: Path) -> None:
    raw = volume.read_bytes()
    found = read(raw)
    assert found.faults == ()
    files = {f.path.lower(): f for f in found.files if not f.is_folder}
    assert {n.lower() for n in FILES} == files.keys()
    for name, size in FILES.items():
        got = found.content(files[name.lower()], lambda at, length: raw[at : at + length])
        assert got == content(name, size)


def test_long_names_keep_their_case(volume: Path) -> None:
    names = {f.path for f in read(volume.read_bytes()).files}
    assert "EFI/Linux/an-image-with-a-long-name-1.0.0.efi" in names


def test_free_clusters_are_those_of_no_file(volume: Path) -> None:
    raw = volume.read_bytes()
    found = read(raw)
    free = sum(end - start for start, end in found.free)
    used = sum(len(f.clusters) for f in found.files) * found.shape.cluster
    root = found.shape.cluster if found.shape.bits == 32 else 0
    assert free + used + root == found.shape.data_end - found.shape.data_start
    assert all(raw[a:b].count(0) == b - a for a, b in found.free)


def test_a_flipped_bit_of_a_fat_is_found_where_it_is(volume: Path) -> None:
    raw = bytearray(volume.read_bytes())
    shape = read(bytes(raw)).shape
    chance = random.Random(1)
    for _ in range(20):
        at = shape.reserved + chance.randrange(2 * shape.fat_bytes)
        raw[at] ^= 1 << 3
        faults = read(bytes(raw)).faults
        raw[at] ^= 1 << 3
        assert any(f.start <= at < f.end for f in faults), at


def test_crossed_chains_and_lost_clusters_are_found(volume: Path) -> None:
    raw = bytearray(volume.read_bytes())
    found = read(bytes(raw))
    shape = found.shape
    if shape.bits == 12:
        return
    large = max(found.files, key=lambda f: len(f.clusters))
    width = shape.bits // 8
    for start in (shape.reserved, shape.reserved + shape.fat_bytes):
        at = start + large.clusters[5] * width
        raw[at : at + width] = large.clusters[200].to_bytes(width, "little")
    messages = [f.message for f in read(bytes(raw)).faults]
    assert any("belong to no file" in m for m in messages)
    assert any("bytes in" in m for m in messages)


def test_what_is_no_fat_is_refused() -> None:
    for raw in (bytes(4096), b"\x55\xaa" * 2048):
        with pytest.raises(fat.BadFat):
            read(raw)


def test_garbage_is_refused_or_read_but_never_crashes(volume: Path) -> None:
    raw = volume.read_bytes()[:MIB]
    chance = random.Random(2)
    for _ in range(150):
        broken = bytearray(raw)
        for _ in range(6):
            broken[chance.randrange(0, 40_000)] = chance.randrange(256)
        try:
            read(bytes(broken))
        except fat.BadFat:
            continue
