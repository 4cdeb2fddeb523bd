"""Images are the same row of bytes whether raw, split, or qcow2."""

from __future__ import annotations

import errno
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from kiwilite.inspect.source import BadImage, opened

CONTENT = random.Random(3).randbytes(3 << 20)


def raw_file(folder: Path) -> Path:
    """3 MiB of content with a hole of 2 MiB behind the first MiB."""
    path = folder / "disk.raw"
    with path.open("wb") as out:
        out.write(CONTENT[: 1 << 20])
        out.seek(3 << 20)
        out.write(CONTENT[1 << 20 :])
    return path


def whole() -> bytes:
    return CONTENT[: 1 << 20] + bytes(2 << 20) + CONTENT[1 << 20 :]


def test_a_raw_file_reads_as_it_is(tmp_path: Path) -> None:
    with opened(raw_file(tmp_path)) as disk:
        assert disk.form == "raw"
        assert disk.read(0, disk.size) == whole()
        assert disk.read((1 << 20) - 3, 7) == whole()[(1 << 20) - 3 : (1 << 20) + 4]
        assert disk.read(disk.size - 2, 9) == whole()[-2:]


@pytest.mark.parametrize("suffixes", [("aa", "ab", "ac"), ("000", "001", "002")])
def test_split_files_read_as_one(tmp_path: Path, suffixes: tuple[str, ...]) -> None:
    content = whole()
    step = 2_000_001
    for n, suffix in enumerate(suffixes):
        (tmp_path / f"disk.{suffix}").write_bytes(content[n * step : (n + 1) * step])
    with opened(tmp_path / f"disk.{suffixes[0]}") as disk:
        assert (disk.form, len(disk.pieces)) == ("split", 3)
        assert disk.read(0, disk.size) == content
        assert disk.read(step - 5, 10) == content[step - 5 : step + 5]
        found = bytearray(disk.size)
        for at, chunk in disk.chunks(0, disk.size, 65536):
            found[at : at + len(chunk)] = chunk
        assert bytes(found) == content


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="qemu-img is not installed")
def test_qcow2_reads_as_the_disk_in_it(tmp_path: Path) -> None:
    source, target = raw_file(tmp_path), tmp_path / "disk.qcow2"
    command: list[str | Path] = ["qemu-img", "convert", "-O", "qcow2", source, target]
    subprocess.run(command, check=True)
    with opened(target) as disk:
        assert disk.form == "qcow2"
        assert disk.read(0, disk.size) == whole()
        copy = disk.pieces[0].path
    assert not copy.exists()


def test_chunks_leave_out_holes_and_start_at_their_multiples(tmp_path: Path) -> None:
    with opened(raw_file(tmp_path)) as disk:
        chunks = dict(disk.chunks(512, disk.size, 65536))
        assert all((at - 512) % 65536 == 0 for at in chunks)
        assert not any(1 << 20 < at < (3 << 20) - 65536 for at in chunks)
        copy = disk.extract(512, disk.size - 512, tmp_path / "copy")
    assert copy.read_bytes() == whole()[512:]


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="No such file"), opened(tmp_path / "nothing"):
        pass


def test_a_block_device_that_cannot_tell_its_holes_reads_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in its place, with the two answers in which a device differs from one."""
    path = raw_file(tmp_path)
    real = os.lseek

    def lseek(fd: int, position: int, how: int) -> int:
        if how in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(errno.EINVAL, "a device has no holes")
        return real(fd, position, how)

    monkeypatch.setattr(os, "lseek", lseek)
    monkeypatch.setattr(Path, "is_block_device", lambda _: True)
    with opened(path) as disk:
        assert (disk.form, disk.size) == ("block device", len(whole()))
        assert list(disk.data(0, disk.size)) == [(0, disk.size)]
        assert list(disk.data(5, 7)) == [(5, 7)]
        assert disk.extract(0, disk.size, tmp_path / "copy").read_bytes() == whole()
