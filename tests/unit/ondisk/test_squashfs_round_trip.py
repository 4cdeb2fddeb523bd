"""What our writer puts into a squashfs, our reader finds; damaged images get our error."""

from __future__ import annotations

import functools
import io
import os
import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from squashfs_samples import BLOCK, described, expected, image_of, trees

from kiwilite.ondisk.squashfs.codec import LEVELS, Codec, Uncompressed, Zstd, decompressor
from kiwilite.ondisk.squashfs.inodes import NOTHING, UNCOMPRESSED, FileBody, FolderBody, Inode
from kiwilite.ondisk.squashfs.reader import SquashfsReader
from kiwilite.ondisk.squashfs.superblock import SIZE, BadSquashfs, SquashfsSuperblock
from kiwilite.ondisk.squashfs.survey import ChangedFile
from kiwilite.ondisk.squashfs.tree import Folder, Node, RegularFile, SymbolicLink, Tree
from kiwilite.ondisk.squashfs.writer import UnfitTree


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from([Zstd(1), Zstd(19), Uncompressed()]))
def test_a_tree_comes_back(data: st.DataObject, codec: Codec) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = data.draw(trees(folder))
        raw, written = image_of(folder, tree=tree, codec=codec)
        assert len(raw) % 4096 == 0
        assert written.superblock.bytes_used + 4096 > len(raw)
        assert SquashfsSuperblock.unpack(raw) == written.superblock
        assert described(raw) == expected(tree, folder)


def reading(raw: bytes) -> tuple[SquashfsReader, dict[bytes, Inode]]:
    reader = SquashfsReader.open(io.BytesIO(raw))
    return reader, dict(reader.walk())


def body_of(raw: bytes, path: bytes) -> FileBody:
    body = reading(raw)[1][path].body
    assert isinstance(body, FileBody)
    return body


def test_holes_take_no_room_and_are_counted(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb") as stream:
        stream.seek(3 * BLOCK)
        stream.write(b"x" * BLOCK)
        stream.truncate(900 * BLOCK + 5)
    body = body_of(image_of(tmp_path)[0], b"/file")
    assert [n for n, word in enumerate(body.words) if word] == [3]
    assert (len(body.words), body.holes) == (901, 899 * BLOCK + 5)


def test_what_compression_makes_no_smaller_stays_as_it_is(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(2 * BLOCK)
    (tmp_path / "noise").write_bytes(noise)
    raw, _ = image_of(tmp_path)
    body = body_of(raw, b"/noise")
    assert body.words == (BLOCK | UNCOMPRESSED,) * 2
    assert raw[body.start : body.start + 2 * BLOCK] == noise


def test_the_same_content_stands_in_the_image_once(tmp_path: Path) -> None:
    noise = random.Random(2).randbytes(5 * BLOCK + 7)
    for name in ("one", "other"):
        (tmp_path / name).write_bytes(noise)
        (tmp_path / f"small-{name}").write_bytes(noise[:500])
    raw, written = image_of(tmp_path)
    assert body_of(raw, b"/one") == body_of(raw, b"/other")
    assert body_of(raw, b"/small-one") == body_of(raw, b"/small-other")
    assert written.blocks == 7


def test_files_are_small_up_to_a_block(tmp_path: Path) -> None:
    for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK):
        (tmp_path / f"{size}").write_bytes(b"x" * size)
    raw, _ = image_of(tmp_path)
    found = {size: body_of(raw, b"/%d" % size) for size in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1)}
    assert [body.fragment != NOTHING for body in found.values()] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert [len(body.words) for body in found.values()] == [0, 0, 0, 1, 2]


def test_a_long_folder_has_an_index_into_its_listing(tmp_path: Path) -> None:
    names = [f"a-name-that-takes-room-{n:05}" for n in range(1500)]
    for name in names:
        (tmp_path / name).touch()
    reader, found = reading(image_of(tmp_path)[0])
    root = found[b""].body
    assert isinstance(root, FolderBody)
    assert len(root.indexes) >= root.size // 8192 - 1
    listed = {entry.name: entry for entry in reader.entries(root)}
    for index in root.indexes:
        # What the kernel does: from the index' block on, at the place modulo 8192.
        at = replace(root, place=type(root.place)(index.start, 0), indexes=())
        cursor = reader.directories.cursor(at.place)
        cursor.offset = (root.place.offset + index.position) % 8192
        assert index.name in listed
        assert cursor.take(12)
        assert cursor.take(8 + len(index.name))[8:] == index.name


def test_the_time_of_making_and_all_owners_are_kept() -> None:
    nodes = (Node(Folder(()), 0o755, 4, 5, 7),)
    raw, _ = image_of(Path("/nowhere"), tree=Tree(nodes))
    assert SquashfsSuperblock.unpack(raw).made_at == 1_700_000_000
    assert described(raw) == {b"": (1, 0o755, (4, 5), 7, 2, (), None)}


def test_what_squashfs_has_no_room_for_is_refused(tmp_path: Path) -> None:
    link = Node(SymbolicLink(b"x"), 0o777, 0, 0, 0)
    long = Node(Folder(((b"n" * 257, 1),)), 0o755, 0, 0, 0)
    with pytest.raises(UnfitTree, match="256 bytes"):
        image_of(tmp_path, tree=Tree((long, link)))
    names = tuple((b"%06d" % n, n) for n in range(1, 1 << 16 | 2))
    many = [Node(SymbolicLink(b"x"), 0o777, n, 0, 0) for n, _ in enumerate(names)]
    with pytest.raises(UnfitTree, match="owners"):
        image_of(tmp_path, tree=Tree((Node(Folder(names), 0o755, 0, 0, 0), *many)))


@pytest.mark.parametrize("size", [5, BLOCK, 3 * BLOCK])
def test_a_file_that_shrinks_meanwhile_is_an_error(tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * (size - 1))
    root = Node(Folder(((b"file", 1),)), 0o755, 0, 0, 0)
    file = Node(RegularFile(b"file", size), 0o644, 0, 0, 0)
    with pytest.raises(ChangedFile, match="shorter"):
        image_of(tmp_path, tree=Tree((root, file)))


@functools.cache
def sample() -> bytes:
    """A small image with everything in it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "etc").mkdir()
        for n in range(40):
            (folder / f"etc/{n}").write_bytes(random.Random(n).randbytes(n * 50))
        (folder / "large").write_bytes(b"large" * 5000)
        (folder / "link").symlink_to("large")
        os.mkfifo(folder / "fifo")
        (folder / "second").hardlink_to(folder / "large")
        os.setxattr(folder / "large", "user.colour", b"blue")
        return image_of(folder)[0]


def read_all(raw: bytes) -> None:
    """Read everything but huge contents."""
    reader = SquashfsReader.open(io.BytesIO(raw))
    for _, inode in reader.walk():
        reader.owner(inode)
        reader.attributes(inode)
        if isinstance(inode.body, FileBody) and inode.body.size < 1 << 20:
            for _ in reader.blocks(inode.body):
                pass


def tables() -> int:
    """Where the tables begin: a change in the contents before shows less."""
    return SquashfsSuperblock.unpack(sample()).inode_table


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_damaged_image_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(sample())
    places = st.one_of(
        st.integers(0, SIZE - 1),
        st.integers(tables(), SquashfsSuperblock.unpack(sample()).bytes_used - 1),
        st.integers(0, len(raw) - 1),
    )
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1)):
        raw[place] = value
    cut = data.draw(st.sampled_from([len(raw), len(raw) - 1, len(raw) // 2, 97]))
    try:
        read_all(bytes(raw[:cut]))
    except BadSquashfs as error:
        assert str(error)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damage_below_the_compression_is_read_or_refused(data: st.DataObject) -> None:
    raw = bytearray(uncompressed_sample())
    start = SquashfsSuperblock.unpack(bytes(raw)).inode_table
    places = st.integers(start, len(raw) - 1)
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1)):
        raw[place] = value
    try:
        read_all(bytes(raw))
    except BadSquashfs as error:
        assert str(error)


@functools.cache
def uncompressed_sample() -> bytes:
    """The same in plain bytes, so that a change reaches every field."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "a/b").mkdir(parents=True)
        for n in range(9):
            (folder / f"a/{n}").write_bytes(bytes([n]) * n * 600)
        os.setxattr(folder / "a/8", "user.colour", b"blue")
        (folder / "a/b/link").symlink_to("there")
        return image_of(folder, codec=Uncompressed())[0]


def test_a_folder_inside_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").touch()
    raw = bytearray(image_of(tmp_path, codec=Uncompressed())[0])
    reader, found = reading(bytes(raw))
    inner, outer = found[b"/a/b"].body, found[b"/a"].body
    assert isinstance(inner, FolderBody) and isinstance(outer, FolderBody)
    at = reader.superblock.directory_table + 2 + outer.place.offset
    entry = next(reader.entries(outer))
    root_entry = next(reader.entries(found[b""].body))  # type: ignore[arg-type]
    assert raw[at + 12 : at + 14] == entry.inode.offset.to_bytes(2, "little")
    raw[at + 12 : at + 14] = root_entry.inode.offset.to_bytes(2, "little")
    with pytest.raises(BadSquashfs, match="inside itself"):
        read_all(bytes(raw))


def test_a_frame_that_claims_to_be_huge_is_refused_without_room_for_it() -> None:
    huge = Zstd(1).compress(bytes(1 << 26))
    assert huge is not None
    with pytest.raises(BadSquashfs, match="more than 8192"):
        decompressor("zstd")(huge, 8192)


def test_an_unknown_compressor_is_named() -> None:
    with pytest.raises(BadSquashfs, match="lz4"):
        decompressor("lz4")


@pytest.mark.parametrize("level", [LEVELS[0], 6, 15, LEVELS[-1]])
def test_a_level_gives_the_same_bytes_each_time(level: int) -> None:
    data = random.Random(level).randbytes(500) * 100
    made = Zstd(level).compress(data)
    assert made is not None
    assert made == Zstd(level).compress(data)
    assert decompressor("zstd")(made, len(data)) == data
