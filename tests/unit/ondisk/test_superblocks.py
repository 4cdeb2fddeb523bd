"""The superblocks of ext4 and squashfs, as their own tools write them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.ondisk import ext4
from kiwilite.ondisk.squashfs.superblock import BadSquashfs, SquashfsSuperblock

NAME = UUID("01234567-89ab-4def-8123-456789abcdef")


@pytest.mark.skipif(shutil.which("mke2fs") is None, reason="mke2fs is not installed")
@pytest.mark.parametrize("block", [1024, 4096])
def test_ext4_as_mke2fs_writes_it(tmp_path: Path, block: int) -> None:
    path = tmp_path / "image"
    command = ["mke2fs", "-q", "-t", "ext4", "-b", str(block), "-L", "home", "-U", str(NAME)]
    subprocess.run([*command, str(path), "16M"], check=True, capture_output=True)
    found = ext4.Ext4Superblock.unpack(path.read_bytes()[1024:2048])
    assert (found.uuid, found.label, found.block_size) == (NAME, "home", block)
    assert found.size == 16 << 20


@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="mksquashfs is not installed")
@pytest.mark.parametrize("compressor", ["gzip", "zstd", "xz"])
def test_squashfs_as_mksquashfs_writes_it(tmp_path: Path, compressor: str) -> None:
    folder, path = tmp_path / "tree", tmp_path / "image"
    folder.mkdir()
    for number in range(5):
        (folder / str(number)).write_text("x" * 1000 * number)
    command = ["mksquashfs", str(folder), str(path), "-comp", compressor, "-noappend"]
    subprocess.run([*command, "-b", "65536", "-no-progress"], check=True, capture_output=True)
    raw = path.read_bytes()
    found = SquashfsSuperblock.unpack(raw)
    assert (found.compressor, found.block_size, found.inodes) == (compressor, 65536, 6)
    assert -(-found.bytes_used // 4096) * 4096 == len(raw)


def test_anything_else_is_refused() -> None:
    for raw in (b"", bytes(2048), b"hsqs" + bytes(92)):
        with pytest.raises(ext4.BadExt4):
            ext4.Ext4Superblock.unpack(raw)
        with pytest.raises(BadSquashfs):
            SquashfsSuperblock.unpack(raw)
