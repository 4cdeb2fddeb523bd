"""What became of a result since it was made is told, and nothing else is."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.build import manifest
from kiwilite.build.manifest import (
    BadManifest,
    Row,
    Shared,
    damage,
    differences,
    digests_text,
    intact,
    surface,
    text_digests,
)
from kiwilite.ondisk.squashfs.survey import ZEROS

BLOCK = 1 << 18


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """An entry with a file, a sparse image, and a tree."""
    out = tmp_path / "entry/out"
    (out / "tree/etc").mkdir(parents=True)
    (out / "summary").write_text("42")
    (out / "tree/etc/passwd").write_text("root:x:0:0")
    (out / "tree/etc/alias").hardlink_to(out / "tree/etc/passwd")
    (out / "tree/link").symlink_to("./etc/passwd")
    with (out / "image").open("wb") as stream:
        stream.truncate(8 * BLOCK)
        stream.seek(3 * BLOCK)
        stream.write(b"x" * 100)
    os.setxattr(out / "tree/etc/passwd", "user.note", b"one")
    manifest.write(out.parent)
    return out.parent


def test_what_nobody_touched_is_sound(entry: Path) -> None:
    assert damage(entry, "whole") == ()
    assert damage(entry, "files") == ()


def keep_time(path: Path, change: Callable[[Path], object]) -> None:
    """Change a file as failing hardware would: its time stays."""
    before = path.stat()
    change(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(path: Path) -> None:
    before = path.lstat()
    folder = path.parent.stat()
    path.unlink()
    path.symlink_to("etc/passwd")
    for one, status in ((path, before), (path.parent, folder)):
        os.utime(one, ns=(0, status.st_mtime_ns), follow_symlinks=False)


def split_link(path: Path) -> None:
    folder = path.parent.stat()
    text, status = path.read_text(), path.stat()
    path.unlink()
    path.write_text(text)
    os.setxattr(path, "user.note", b"one")
    os.utime(path, ns=(0, status.st_mtime_ns))
    os.utime(path.parent, ns=(0, folder.st_mtime_ns))


CHANGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "content": ("tree/etc/alias", lambda p: p.write_text("rooo:x:0:0"), "another content"),
    "size": ("tree/etc/passwd", lambda p: p.write_text("root"), "4 bytes instead of 10"),
    "mode": ("tree/etc/passwd", lambda p: p.chmod(0o600), "mode 600 instead of 644"),
    "owner": ("summary", lambda p: os.chown(p, 7, 8), "7:8 instead of"),
    "attribute": ("tree/etc/passwd", lambda p: os.setxattr(p, "user.note", b"two"), "attributes"),
    "one bit of an image": (
        "image",
        lambda p: os.pwrite(os.open(p, os.O_WRONLY), b"y", 3 * BLOCK + 50),
        "another content",
    ),
    "a hole that is none": (
        "image",
        lambda p: os.pwrite(os.open(p, os.O_WRONLY), b"\x01", 7 * BLOCK + 1),
        "another content",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_change_is_told_with_its_path(entry: Path, what: str) -> None:
    name, change, words = CHANGES[what]
    if what == "owner" and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    keep_time(entry / "out" / name, change)
    found = damage(entry, "whole")
    assert any(line.startswith(f"out/{name}: ") and words in line for line in found), found


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("tree/link", relink, "out/tree/link: has another content"),
        ("tree/etc/passwd", split_link, "out/tree/etc/passwd: has another content"),
    ],
    ids=["link", "hard link"],
)
def test_links_are_part_of_a_result(
    entry: Path, name: str, change: Callable[[Path], None], words: str
) -> None:
    change(entry / "out" / name)
    assert words in damage(entry, "whole")


def test_what_is_gone_and_what_is_new_is_told(entry: Path) -> None:
    (entry / "out/summary").unlink()
    (entry / "out/other").touch()
    found = damage(entry, "whole")
    assert "out/summary: is gone" in found
    assert "out/other: was not there" in found


def test_another_time_is_told_because_images_have_it(entry: Path) -> None:
    os.utime(entry / "out/tree/etc", ns=(0, 0))
    assert damage(entry, "whole") == ("out/tree/etc: has another time of change",)


def test_where_a_file_has_holes_does_not_matter(entry: Path) -> None:
    image = entry / "out/image"
    keep_time(image, lambda p: p.write_bytes(p.read_bytes()))
    assert image.stat().st_blocks * 512 >= 8 * BLOCK
    assert damage(entry, "whole") == ()


def test_files_alone_are_examined_without_their_owners_and_trees(entry: Path) -> None:
    keep_time(entry / "out/tree/etc/passwd", lambda p: p.write_text("rooo:x:0:0"))
    if os.geteuid() == 0:
        os.chown(entry / "out/summary", 7, 8)
    assert damage(entry, "files") == ()
    keep_time(entry / "out/summary", lambda p: p.write_text("43"))
    assert damage(entry, "files") == ("out/summary: has another content",)


@pytest.mark.parametrize("spoil", ["cut", "gone", "flipped", "empty", "not text"])
def test_a_manifest_that_was_damaged_itself_vouches_for_nothing(entry: Path, spoil: str) -> None:
    path = entry / manifest.FILE
    raw = path.read_bytes()
    match spoil:
        case "cut":
            path.write_bytes(raw[:-10])
        case "gone":
            path.unlink()
        case "flipped":
            path.write_bytes(raw.replace(b"passwd", b"passwe"))
        case "empty":
            path.write_bytes(b"")
        case "not text":
            path.write_bytes(b"\xff" * len(raw))
    with pytest.raises(BadManifest):
        manifest.read(entry)
    assert damage(entry, "whole")[0].startswith("manifest: ")


def test_an_entry_that_is_gone_is_damaged(tmp_path: Path) -> None:
    assert damage(tmp_path / "nothing", "files")


def test_names_that_are_no_text_are_kept(entry: Path) -> None:
    strange = os.fsdecode(b"out/\xff\xfe name")
    (entry / strange).write_text("here")
    manifest.write(entry)
    assert damage(entry, "whole") == ()
    assert strange.removeprefix("out/") in {row.path for row in manifest.read(entry)}


def test_the_surface_notices_what_was_edited_cut_off_or_removed(entry: Path) -> None:
    seal = surface(entry)
    assert intact(entry, seal)
    assert not intact(entry, None)
    (entry / "out/summary").write_text("43")
    assert not intact(entry, seal)
    seal = surface(entry)
    with (entry / "out/image").open("r+b") as stream:
        stream.truncate(5)
    assert not intact(entry, seal)
    seal = surface(entry)
    (entry / manifest.FILE).unlink()
    assert not intact(entry, seal)


def test_room_on_the_disk_leaves_out_holes_and_further_links(entry: Path) -> None:
    used = manifest.disk_usage(entry, manifest.read(entry))
    assert used < 2 * BLOCK
    assert used >= 100


def row(path: str, kind: str = "file") -> Row:
    return Row(path, kind, 0o644, 0, 0, 1, 0, "", "")


def test_a_file_in_the_place_of_a_folder_is_only_that() -> None:
    assert differences([row("a", "folder")], [row("a")]) == ("out/a: was a folder",)


@pytest.fixture
def linked(entry: Path, tmp_path: Path) -> Path:
    """Another entry, whose tree has the files of the first one and one of its own."""
    out = tmp_path / "linked/out"
    (out / "tree/etc").mkdir(parents=True)
    for name in ("tree/etc/passwd", "tree/etc/alias"):
        (out / name).hardlink_to(entry / "out" / name)
    (out / "tree/own").write_text("own")
    return out.parent


def contents(entry: Path) -> dict[str, str]:
    return {row.path: row.content for row in manifest.read(entry) if row.kind == "file"}


def test_what_is_shared_with_a_sound_entry_need_not_be_read(entry: Path, linked: Path) -> None:
    manifest.write(linked)
    read = manifest.read(linked)
    flip = functools.partial(Path.write_text, data="root:x:1:1")
    keep_time(entry / "out/tree/etc/passwd", flip)
    manifest.write(linked, [Shared.of(entry)])
    assert manifest.read(linked) == read
    for one in (entry, linked):
        assert damage(one, "whole") == ("out/tree/etc/alias: has another content",)


@pytest.mark.parametrize("gone", ["out/tree/etc/alias", "out/tree/etc/passwd"])
def test_a_shared_file_may_have_lost_a_name(entry: Path, linked: Path, gone: str) -> None:
    (linked / gone).unlink()
    manifest.write(linked, [Shared.of(entry)])
    before = contents(linked)
    manifest.write(linked)
    assert contents(linked) == before


def test_another_file_of_the_same_name_is_read(entry: Path, linked: Path) -> None:
    path = linked / "out/tree/etc/passwd"
    path.unlink()
    path.write_text("root:x:9:9")
    os.utime(path, ns=(0, (entry / "out/tree/etc/passwd").stat().st_mtime_ns))
    (linked / "out/more").hardlink_to(path)
    manifest.write(linked, [Shared.of(entry)])
    assert damage(linked, "whole") == ()


def test_a_shared_file_that_was_written_since_is_read(entry: Path, linked: Path) -> None:
    (linked / "out/tree/etc/passwd").write_text("root:x:1:1")
    manifest.write(linked, [Shared.of(entry)])
    assert damage(linked, "whole") == ()


@pytest.mark.parametrize("edit", [b"", b"0" * 64 + b"\n[]"])
def test_a_manifest_that_is_not_as_it_was_written_says_nothing_of_shared_files(
    entry: Path, linked: Path, edit: bytes
) -> None:
    (entry / manifest.FILE).write_bytes(edit)
    manifest.write(linked, [Shared.of(entry)])
    assert damage(linked, "whole") == ()


@given(st.lists(st.one_of(st.just(ZEROS), st.binary(min_size=32, max_size=32))))
def test_digests_of_blocks_come_back(digests: list[bytes]) -> None:
    assert text_digests(digests_text(tuple(digests))) == tuple(digests)


def test_a_file_in_a_tree_has_a_digest_for_each_block(entry: Path) -> None:
    with (entry / "out/tree/large").open("wb") as stream:
        stream.truncate(9 * manifest.BLOCK)
        stream.seek(3 * manifest.BLOCK)
        stream.write(b"x" * (manifest.BLOCK + 1))
    manifest.write(entry)
    words = contents(entry)["tree/large"].split()
    assert [words[0], words[-1], len(words)] == ["0*3", "0*4", 4]
    assert words[1] == hashlib.sha256(b"x" * manifest.BLOCK).hexdigest()
    assert len(contents(entry)["image"]) == 64
