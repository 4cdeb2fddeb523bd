"""An image with blocks of earlier ones is the image that a clean build makes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from squashfs_samples import BLOCK, EPOCH, image_of, keep

from kiwilite.build.tree_nodes import tree_nodes
from kiwilite.ondisk.squashfs.codec import Codec, Uncompressed, Zstd
from kiwilite.ondisk.squashfs.known_blocks import (
    IndexedImage,
    IndexRow,
    KnownBlocks,
    pack_index,
    unpack_index,
)
from kiwilite.ondisk.squashfs.survey import ChangedFile, Digests, survey
from kiwilite.ondisk.squashfs.tree import RegularFile
from kiwilite.ondisk.squashfs.writer import Settings, write
from kiwilite.parallel import in_parallel

CODEC = Zstd(3)
WORDS = [b"verity", b"squash", b"fragment", b"inode", b"\n", b" ", b"block"]


def text(chance: random.Random, size: int) -> bytes:
    return b"".join(chance.choices(WORDS, k=size // 3))[:size]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Some hundred small files and a few large ones."""
    folder, chance = tmp_path / "tree", random.Random(7)
    for n in range(400):
        path = folder / f"{n % 9}" / f"small-{n}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text(chance, chance.randrange(1, 900)))
    for n in range(6):
        (folder / f"large-{n}").write_bytes(text(chance, chance.randrange(20, 60) * BLOCK + n))
    return folder


def known(*images: IndexedImage, codec: Codec = CODEC) -> KnownBlocks:
    return KnownBlocks.of(images, codec.identity())


@pytest.fixture
def earlier(tree: Path, tmp_path: Path) -> IndexedImage:
    return keep(*image_of(tree), tmp_path / "earlier")


def test_nothing_is_compressed_again_where_nothing_changed(
    tree: Path, earlier: IndexedImage
) -> None:
    image, written = image_of(tree, known=known(earlier))
    assert written.reused == written.blocks > 250
    assert image == earlier.image.read_bytes()
    assert written.index == earlier.index.read_bytes()


def grow_small(tree: Path) -> None:
    (tree / "3/small-3").write_bytes(b"grown" * 150)


def edit_small(tree: Path) -> None:
    path = tree / "4/small-13"
    path.write_bytes(b"x" * path.stat().st_size)


def remove_small(tree: Path) -> None:
    (tree / "5/small-5").unlink()


def add_small(tree: Path) -> None:
    (tree / "5/small-5555").write_bytes(b"new" * 100)


def edit_large(tree: Path) -> None:
    with (tree / "large-2").open("r+b") as stream:
        stream.seek(7 * BLOCK + 5)
        stream.write(b"edited")


def append_large(tree: Path) -> None:
    with (tree / "large-3").open("ab") as stream:
        stream.write(b"appended")


def rename(tree: Path) -> None:
    (tree / "large-1").rename(tree / "large-99")


@pytest.mark.parametrize(
    ("change", "most"),
    [
        (edit_small, 1),
        (grow_small, 5),
        (remove_small, 5),
        (add_small, 5),
        (edit_large, 1),
        (append_large, 1),
        (rename, 0),
    ],
)
def test_one_changed_file_costs_the_blocks_around_it(
    tree: Path, earlier: IndexedImage, change: Callable[[Path], None], most: int
) -> None:
    change(tree)
    image, written = image_of(tree, known=known(earlier))
    assert written.blocks - written.reused <= most
    assert image == image_of(tree)[0]
    assert image != earlier.image.read_bytes()


def edit_at_random(tree: Path, chance: random.Random) -> None:
    paths = sorted(p for p in tree.rglob("*") if p.is_file())
    for path in chance.sample(paths, 8):
        match chance.randrange(5):
            case 0:
                path.unlink()
            case 1:
                path.write_bytes(text(chance, chance.randrange(3 * BLOCK)))
            case 2:
                path.write_bytes(chance.randbytes(chance.randrange(3 * BLOCK)))
            case 3:
                shutil.copyfile(chance.choice(paths[:40]), path) if paths[0].exists() else None
            case _:
                path.rename(path.with_name(f"moved-{chance.random()}"))


@pytest.mark.parametrize("seed", range(4))
def test_a_chain_of_builds_gives_what_clean_builds_give(
    tree: Path, tmp_path: Path, seed: int
) -> None:
    chance, images = random.Random(seed), [keep(*image_of(tree), tmp_path / "0")]
    for number in range(1, 6):
        edit_at_random(tree, chance)
        image, written = image_of(tree, known=known(*reversed(images)))
        clean, clean_written = image_of(tree)
        assert image == clean
        assert written.index == clean_written.index
        assert clean_written.reused == 0 < written.reused
        images.append(keep(image, written, tmp_path / f"{number}"))


def flip(path: Path, places: range) -> None:
    data = bytearray(path.read_bytes())
    for place in places:
        if place < len(data):
            data[place] ^= 0x10
    path.write_bytes(data)


def damaged_image(found: IndexedImage) -> None:
    flip(found.image, range(100, found.image.stat().st_size, 3000))


def cut_image(found: IndexedImage) -> None:
    found.image.write_bytes(found.image.read_bytes()[:50_000])


def damaged_index(found: IndexedImage) -> None:
    flip(found.index, range(90, 5000, 76))


def cut_index(found: IndexedImage) -> None:
    found.index.write_bytes(found.index.read_bytes()[:-76])


def no_image(found: IndexedImage) -> None:
    found.image.unlink()


def no_index(found: IndexedImage) -> None:
    found.index.unlink()


@pytest.mark.parametrize(
    "damage", [damaged_image, cut_image, damaged_index, cut_index, no_image, no_index]
)
def test_a_damaged_earlier_image_changes_nothing(
    tree: Path, earlier: IndexedImage, damage: Callable[[IndexedImage], None]
) -> None:
    sound = earlier.image.read_bytes()
    damage(earlier)
    image, written = image_of(tree, known=known(earlier))
    assert image == sound
    assert written.reused < written.blocks


def test_a_block_that_the_image_no_longer_has_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"something else, as long")
    row = IndexRow(bytes(32), 3, 10, bytes(32))
    (tmp_path / "blocks").write_bytes(pack_index([row], CODEC.identity()))
    found = known(IndexedImage(tmp_path / "image", tmp_path / "blocks"))
    assert found.find(bytes(32)) is None
    assert found.find(bytes(31) + b"1") is None


@pytest.mark.parametrize("codec", [Zstd(4), Uncompressed()])
def test_blocks_that_were_compressed_otherwise_are_not_taken(
    tree: Path, earlier: IndexedImage, codec: Codec
) -> None:
    image, written = image_of(tree, codec=codec, known=known(earlier, codec=codec))
    assert written.reused == 0
    assert image == image_of(tree, codec=codec)[0]


def noted_of(tree: Path) -> dict[bytes, Digests]:
    """What a manifest says of all files."""
    nodes = tree_nodes(tree, emptied=(), epoch=EPOCH).nodes
    files = [node.body for node in nodes if isinstance(node.body, RegularFile)]
    digests = survey(tree, files, BLOCK, {}, map)
    return {file.path: found for file, found in zip(files, digests, strict=True)}


def test_contents_that_are_noted_are_not_read_where_an_earlier_image_has_them(
    tree: Path, earlier: IndexedImage, tmp_path: Path
) -> None:
    nodes, noted = tree_nodes(tree, emptied=(), epoch=EPOCH), noted_of(tree)
    tree.rename(tmp_path / "elsewhere")
    image, written = image_of(tree, tree=nodes, known=known(earlier), noted=noted)
    assert image == earlier.image.read_bytes()
    assert written.index == earlier.index.read_bytes()


def test_contents_that_are_noted_give_the_image_that_a_look_at_them_gives(tree: Path) -> None:
    with (tree / "holes").open("wb") as stream:
        stream.seek(5 * BLOCK)
        stream.write(b"end")
    (tree / "empty").touch()
    (tree / "zeros").write_bytes(bytes(100))
    assert image_of(tree, noted=noted_of(tree)) == image_of(tree)
    some = {path: found for path, found in noted_of(tree).items() if path[-1:] in b"258"}
    assert image_of(tree, noted=some) == image_of(tree)


@pytest.mark.parametrize("change", [edit_small, edit_large])
def test_what_is_not_as_it_was_noted_gets_into_no_image(
    tree: Path, earlier: IndexedImage, change: Callable[[Path], None]
) -> None:
    noted = noted_of(tree)
    change(tree)
    with pytest.raises(ChangedFile, match="changed since"):
        image_of(tree, noted=noted)
    assert image_of(tree, noted=noted, known=known(earlier))[0] == earlier.image.read_bytes()


def test_an_index_comes_back() -> None:
    rows = [IndexRow(bytes([n]) * 32, n << 40, n, bytes([n + 1]) * 32) for n in range(9)]
    raw = pack_index(rows, "this")
    assert unpack_index(raw, "this") == rows
    assert unpack_index(raw, "that") == unpack_index(b"", "this") == []


def test_several_processors_give_the_same_bytes(tree: Path, tmp_path: Path) -> None:
    nodes = tree_nodes(tree, emptied=(), epoch=EPOCH)
    with (tmp_path / "image").open("wb") as target:
        write(nodes, tree, target, Settings(BLOCK, CODEC, EPOCH), KnownBlocks(), in_parallel)
    assert (tmp_path / "image").read_bytes() == image_of(tree)[0]
