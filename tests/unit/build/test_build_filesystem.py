"""A folder in mkfs.xfs's prototype language, and how much room it takes."""

from __future__ import annotations

import os
import shutil
import struct
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.build.digest import digest_file
from kiwilite.build.job import Job
from kiwilite.build.stages import filesystem
from kiwilite.build.stages.filesystem import XFS_FEATURES, features_of
from kiwilite.errors import StageFailed
from kiwilite.plan.image_steps import FileSystem
from kiwilite.plan.partitions import MIB
from kiwilite.plan.references import Output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "content"
    (root / "b-dir/deep").mkdir(parents=True)
    (root / "b-dir").chmod(0o2750)
    (root / "b-dir/deep").chmod(0o755)
    root.chmod(0o755)
    for name, mode in (("a-file", 0o640), ("b-dir/tool", 0o4755)):
        (root / name).write_text(name)
        (root / name).chmod(mode)
    (root / "c-link").symlink_to("b-dir/tool")
    return root


def prototype(folder: Path) -> list[str]:
    owner = f" {os.getuid()} {os.getgid()}"
    rows = filesystem._prototype(folder)
    return [*rows[:2], *(row.replace(owner, " OWNER", 1) for row in rows[2:])]


def test_rows_have_type_mode_owner_and_content(folder: Path) -> None:
    assert prototype(folder) == [
        "/",
        "0 0",
        "d--755 OWNER",
        "a-file ---640 OWNER content/a-file",
        "b-dir d-g750 OWNER",
        "deep d--755 OWNER",
        "$",
        "tool -u-755 OWNER content/b-dir/tool",
        "$",
        "c-link l--777 OWNER b-dir/tool",
        "$",
    ]


@pytest.mark.parametrize("name", ["two words", "line\nend", "tab\there"])
def test_white_space_in_a_name_is_refused_and_not_misread(folder: Path, name: str) -> None:
    (folder / name).touch()
    with pytest.raises(StageFailed, match="white space"):
        prototype(folder)


def test_white_space_in_the_target_of_a_link_is_refused(folder: Path) -> None:
    (folder / "link").symlink_to("two words")
    with pytest.raises(StageFailed, match="white space"):
        prototype(folder)


def test_white_space_above_the_folder_does_no_harm(folder: Path) -> None:
    (folder.parent / "my store").mkdir()
    moved = folder.rename(folder.parent / "my store" / "content")
    assert not any("my store" in row for row in prototype(moved))


def test_a_sticky_bit_is_refused_and_not_lost(folder: Path) -> None:
    (folder / "b-dir").chmod(0o1777)
    with pytest.raises(StageFailed, match="sticky"):
        prototype(folder)


def test_file_capabilities_are_refused_and_not_lost(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attributes(path: Path, *, follow_symlinks: bool) -> list[str]:
        assert not follow_symlinks
        return ["security.capability"] if path.name == "tool" else []

    monkeypatch.setattr(os, "listxattr", attributes)
    with pytest.raises(StageFailed, match="tool, which has file capabilities"):
        prototype(folder)


def test_a_socket_or_a_pipe_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(StageFailed, match="pipe"):
        prototype(folder)


def test_room_is_counted_in_blocks_and_second_names_and_holes_are_free(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x" * 4097)
    os.link(tmp_path / "one", tmp_path / "two")
    with (tmp_path / "holes").open("wb") as stream:
        stream.truncate(1 << 30)
    (tmp_path / "link").symlink_to("one")
    assert filesystem.content_size(tmp_path) <= 2 * 4096
    assert filesystem.content_size(tmp_path) in (4096, 8192)


FILE_SYSTEM = FileSystem(
    tree=Output("tree"),
    folder="/srv",
    leave_out=(),
    filesystem="xfs",
    size=320 * MIB,
    label="SRV",
    uuid=UUID(int=7),
    where="appliance.kiwi:1:1",
    epoch=1754697600,
)


def made(folder: Path, filesystem_name: str, sector: int) -> bytes:
    """The first 4096 bytes of the file system for a disk with such sectors."""
    (folder / "tree/tree/srv").mkdir(parents=True)
    (folder / "tree/tree/srv").chmod(0o755)
    for name in ("out", "scratch"):
        (folder / name).mkdir()
    tree = {"tree": folder / "tree"}
    job = Job("", folder / "out", folder / "scratch", folder / "log", tree, {}, folder, {})
    step = replace(FILE_SYSTEM, filesystem=filesystem_name, sector_size=sector)
    filesystem.run(step, job)
    with (folder / "out/image").open("rb") as image:
        return image.read(4096)


needs_tools = pytest.mark.skipif(
    shutil.which("mkfs.xfs", path="/usr/sbin:/sbin") is None, reason="xfsprogs are not installed"
)


@needs_tools
@pytest.mark.parametrize("sector", [512, 4096])
def test_xfs_has_the_sectors_of_its_disk(tmp_path: Path, sector: int) -> None:
    # sb_sectsize, big-endian, at 102; one smaller than the disk's does not mount
    assert struct.unpack_from(">4s98xH", made(tmp_path, "xfs", sector)) == (b"XFSB", sector)


@needs_tools
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_a_file_system_has_the_same_bytes_when_it_is_made_again(tmp_path: Path, kind: str) -> None:
    for name in ("one", "other"):
        made(tmp_path / name, kind, 512)
    assert digest_file(tmp_path / "one/out/image") == digest_file(tmp_path / "other/out/image")


@needs_tools
@pytest.mark.parametrize("sector", [512, 4096])
def test_ext4_has_blocks_that_every_disk_can_take(tmp_path: Path, sector: int) -> None:
    # s_log_block_size, little-endian, at 24 of the superblock, which is at 1024
    assert 1024 << struct.unpack_from("<I", made(tmp_path, "ext4", sector), 1048)[0] == 4096


def test_features_that_old_kernels_lack_are_left_out_where_mkfs_xfs_knows_them() -> None:
    old, new = features_of("mkfs.xfs version 6.1.0\n"), features_of("mkfs.xfs version 6.18.1\n")
    assert old == XFS_FEATURES
    assert new[: len(old)] == old
    for option, word in (("-i", "exchange=0"), ("-n", "parent=0"), ("-m", "metadir=0")):
        assert new[new.index(word) - 1] == option
    assert "metadir=0" not in features_of("mkfs.xfs version 6.10.0\n")
    with pytest.raises(StageFailed, match="tells no version"):
        features_of("what?")
