"""The XFS superblock, as mkfs.xfs makes it and xfs_db reads it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.ondisk.xfs import BadXfs, XfsSuperblock

UUID = "6a1f5d0e-3c1b-4f2a-9d8e-0b7c6a5d4e3f"
MIB = 1 << 20


def made(path: Path, size: int, *options: str) -> bytes:
    with path.open("wb") as stream:
        stream.truncate(size)
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", "-m", f"uuid={UUID}", "-L", "overlay", *options, path], check=True
    )
    with path.open("rb") as stream:
        return stream.read(512)


def said_by_xfs_db(path: Path) -> dict[str, str]:
    shown = subprocess.run(
        ["xfs_db", "-r", "-f", "-c", "sb 0", "-c", "print", path],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return dict(line.split(" = ", 1) for line in shown.splitlines() if " = " in line)


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (301 * MIB, ()),
        (512 * MIB, ("-s", "size=4096")),
        (1400 * MIB, ("-d", "agcount=7")),
        (700 * MIB, ("-b", "size=1024")),
        (9 << 40, ("-s", "size=4096")),
    ],
)
def test_sizes_and_places_are_those_of_xfs_db(
    tmp_path: Path, size: int, options: tuple[str, ...]
) -> None:
    path = tmp_path / "xfs"
    xfs = XfsSuperblock.unpack(made(path, size, *options))
    said = said_by_xfs_db(path)
    assert (str(xfs.uuid), xfs.label) == (UUID, "overlay")
    assert xfs.block_size == int(said["blocksize"])
    assert xfs.sector_size == int(said["sectsize"])
    assert (xfs.groups, xfs.group_blocks) == (int(said["agcount"]), int(said["agblocks"]))
    assert xfs.size <= size < xfs.size + xfs.group_blocks * xfs.block_size
    log, length = xfs.log_extent()
    assert length == int(said["logblocks"]) * xfs.block_size
    first = subprocess.run(
        ["xfs_db", "-r", "-f", "-c", f"convert fsblock {said['logstart']} byte", path],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert f"({log})" in first


def test_every_group_begins_with_a_superblock(tmp_path: Path) -> None:
    path = tmp_path / "xfs"
    xfs = XfsSuperblock.unpack(made(path, 900 * MIB))
    starts = xfs.group_starts()
    assert len(starts) == xfs.groups >= 2
    with path.open("rb") as stream:
        for start in starts:
            stream.seek(start)
            assert stream.read(4) == b"XFSB"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return made(tmp_path_factory.mktemp("xfs") / "xfs", 301 * MIB)


@given(at=st.integers(0, 130), junk=st.binary(min_size=1, max_size=8))
def test_a_damaged_superblock_is_refused_or_its_places_lie_inside(
    sound: bytes, at: int, junk: bytes
) -> None:
    raw = bytearray(sound)
    raw[at : at + len(junk)] = junk
    try:
        xfs = XfsSuperblock.unpack(bytes(raw))
    except BadXfs as error:
        assert error.field in str(error)
        return
    start, length = xfs.log_extent()
    assert 0 <= start < start + length <= xfs.size
    assert xfs.group_starts()[-1] < xfs.size


@given(st.binary(max_size=600))
def test_noise_is_no_xfs(noise: bytes) -> None:
    with pytest.raises(BadXfs):
        XfsSuperblock.unpack(noise)
