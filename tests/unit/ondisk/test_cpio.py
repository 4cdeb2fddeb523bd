"""The newc writer and reader against GNU cpio."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import cpio
from kiwilite.ondisk.cpio import BadCpio, Entry

EPOCH = 1_700_000_000
TREE = (
    cpio.regular("init", b"#!/bin/sh\nexec sh\n", 0o755),
    cpio.regular("usr/share/odd name ü/data", bytes(range(256)) * 3 + b"x"),
    cpio.regular("usr/empty", b"", 0o4755),
    cpio.directory("usr", 0o700),
    cpio.symlink("bin", "usr/bin"),
    cpio.character_device("dev/console", 5, 1),
    Entry("dev/sda", stat.S_IFBLK | 0o660, gid=6, rdev_major=8),
    Entry("run/fifo", stat.S_IFIFO | 0o600, uid=7, mtime=5),
)


def gnu_cpio(archive: bytes, *options: str, cwd: Path | None = None) -> str:
    return subprocess.run(
        ["cpio", "--quiet", *options],
        input=archive,
        check=True,
        capture_output=True,
        cwd=cwd,
        env={"LC_ALL": "C.UTF-8", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
    ).stdout.decode()


def test_gnu_cpio_lists_what_was_written() -> None:
    shown = gnu_cpio(cpio.write(TREE, mtime=EPOCH), "-tvn").splitlines()
    assert [line.split()[0] for line in shown] == [
        "lrwxrwxrwx",
        "drwxr-xr-x",
        "crw-------",
        "brw-rw----",
        "-rwxr-xr-x",
        "drwxr-xr-x",
        "prw-------",
        "drwx------",
        "-rwsr-xr-x",
        "drwxr-xr-x",
        "drwxr-xr-x",
        "-rw-r--r--",
    ]
    assert "bin -> usr/bin" in shown[0]
    assert "5,   1" in shown[2]
    assert "8,   0" in shown[3]
    assert "usr/share/odd name ü/data" in shown[-1]


def test_gnu_cpio_extracts_what_was_written(tmp_path: Path) -> None:
    files = [entry for entry in TREE if not entry.path.startswith("dev")]
    gnu_cpio(cpio.write(files, mtime=EPOCH), "-idm", "--no-absolute-filenames", cwd=tmp_path)
    assert (tmp_path / "usr/share/odd name ü/data").read_bytes() == TREE[1].data
    assert (tmp_path / "bin").readlink() == Path("usr/bin")
    assert stat.S_IMODE((tmp_path / "usr/empty").stat().st_mode) == 0o4755
    assert stat.S_IMODE((tmp_path / "usr").stat().st_mode) == 0o700
    assert (tmp_path / "init").stat().st_mtime == EPOCH
    assert (tmp_path / "run/fifo").lstat().st_mtime == 5


def test_an_archive_of_gnu_cpio_is_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir(mode=0o750)
    (tmp_path / "d/file").write_bytes(b"hello")
    (tmp_path / "d/link").symlink_to("file")
    archive = gnu_cpio_bytes(b"d\nd/file\nd/link\n", tmp_path)
    directory, file, link = cpio.read(archive)
    assert (directory.path, directory.mode) == ("d", stat.S_IFDIR | 0o750)
    assert (file.path, file.data, file.nlink) == ("d/file", b"hello", 1)
    assert (link.path, link.data) == ("d/link", b"file")


def gnu_cpio_bytes(names: bytes, cwd: Path) -> bytes:
    return subprocess.run(
        ["cpio", "--quiet", "-o", "-H", "newc"],
        input=names,
        check=True,
        capture_output=True,
        cwd=cwd,
    ).stdout


def test_the_order_of_the_entries_does_not_matter() -> None:
    assert cpio.write(reversed(TREE), mtime=EPOCH) == cpio.write(TREE, mtime=EPOCH)


def test_missing_parents_are_added_and_stand_before_their_children() -> None:
    entries = cpio.read(
        cpio.write([cpio.regular("a/b-c", b""), cpio.regular("a/b/c", b"")], mtime=1)
    )
    assert [(e.path, e.mode) for e in entries] == [
        ("a", stat.S_IFDIR | 0o755),
        ("a/b", stat.S_IFDIR | 0o755),
        ("a/b/c", stat.S_IFREG | 0o644),
        ("a/b-c", stat.S_IFREG | 0o644),
    ]


def test_archives_in_a_row_are_read_as_one() -> None:
    first = cpio.write([cpio.regular("a", b"1")], mtime=1)
    second = cpio.write([cpio.regular("b", b"2")], mtime=1)
    assert len(first) % 4 == 0
    entries = cpio.read(first + bytes(512) + second + bytes(3))
    assert [(e.path, e.data) for e in entries] == [("a", b"1"), ("b", b"2")]
    with pytest.raises(BadCpio, match="multiple of 4"):
        cpio.read(first + bytes(2) + second)


def test_what_stands_behind_the_first_archive_can_be_found() -> None:
    first = cpio.write([cpio.regular("kernel/x86/microcode", b"code")], mtime=1)
    entries, end = cpio.read_one(first + b"\x28\xb5\x2f\xfd compressed")
    assert (len(entries), end) == (3, len(first))
    with pytest.raises(BadCpio) as caught:
        cpio.read(first + b"\x28\xb5\x2f\xfd compressed")
    assert caught.value.offset == len(first)


u32 = st.integers(0, 2**32 - 1)
names = st.text("aB.ü𝄞 \n\udc80", min_size=1, max_size=8).filter(
    lambda name: name not in (".", "..")
)
kinds = st.sampled_from((stat.S_IFREG, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFSOCK))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    kind = draw(kinds)
    return Entry(
        "/".join(draw(st.lists(names, min_size=1, max_size=3))),
        kind | draw(st.integers(0, 0o7777)),
        draw(st.binary(max_size=20)) if kind in (stat.S_IFREG, stat.S_IFLNK) else b"",
        *(draw(u32) for _ in range(6)),
    )


def _no_file_is_a_directory(tree: list[Entry]) -> bool:
    paths = {entry.path for entry in tree}
    return not any(
        "/".join(p.split("/")[:n]) in paths for p in paths for n in range(1, p.count("/") + 1)
    )


@settings(deadline=None)
@given(st.lists(entries(), unique_by=lambda e: e.path, max_size=6).filter(_no_file_is_a_directory))
def test_what_is_written_is_read_back(tree: list[Entry]) -> None:
    found = cpio.read(cpio.write(tree, mtime=EPOCH))
    assert {e.path: e for e in found if not stat.S_ISDIR(e.mode)} == {e.path: e for e in tree}


SAMPLE = cpio.write(TREE, mtime=EPOCH)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE)), st.binary(max_size=9)), max_size=4),
    st.integers(0, len(SAMPLE)),
)
def test_nothing_but_bad_cpio_comes_out_of_a_broken_archive(
    edits: list[tuple[int, bytes]], end: int
) -> None:
    raw = bytearray(SAMPLE)
    for at, data in edits:
        raw[at : at + len(data)] = data
    try:
        cpio.read(bytes(raw[:end]))
    except BadCpio as error:
        assert 0 <= error.offset <= len(raw)


@settings(deadline=None)
@given(st.binary(max_size=200), st.text("0123456789abcdefABCDEF _+-x", max_size=110))
def test_nothing_but_bad_cpio_comes_out_of_noise(noise: bytes, digits: str) -> None:
    for raw in (noise, b"070701" + noise, b"070701" + digits.encode() + noise):
        try:
            cpio.read(raw)
        except BadCpio as error:
            assert error.offset >= 0


@pytest.mark.parametrize(
    "path", ["", "/etc", "a//b", "a/", "./a", "a/../b", "a\0b", "TRAILER!!!", "x" * 4096, "\ud800"]
)
def test_a_path_that_the_kernel_would_not_take_or_that_leads_away_is_refused(path: str) -> None:
    with pytest.raises(BadCpio):
        cpio.write([cpio.regular(path, b"")], mtime=0)


@pytest.mark.parametrize(
    "tree",
    [
        [cpio.regular("a", b""), cpio.regular("a", b"")],
        [cpio.symlink("lib", "usr/lib"), cpio.regular("lib/x", b"")],
        [Entry("a", 0o644)],
        [Entry("a", stat.S_IFDIR | 0o755, b"data")],
        [Entry("a", stat.S_IFREG, uid=2**32)],
        [Entry("a", stat.S_IFREG, mtime=-1)],
    ],
)
def test_entries_that_make_no_tree_are_refused(tree: list[Entry]) -> None:
    with pytest.raises(BadCpio):
        cpio.write(tree, mtime=0)
