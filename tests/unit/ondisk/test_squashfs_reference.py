"""Our squashfs against the reference tools, and theirs against our reader."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from squashfs_samples import EPOCH, Described, described, image_of

from kiwilite.ondisk.squashfs.codec import Codec, Uncompressed, Zstd

pytestmark = pytest.mark.skipif(
    not (shutil.which("mksquashfs") and shutil.which("unsquashfs")),
    reason="squashfs-tools are not installed",
)

BLOCK = 131072
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with every feature that this user can make."""
    folder, chance = tmp_path_factory.mktemp("reference") / "tree", random.Random(11)
    folder.mkdir()
    for n in range(900):
        path = folder / f"deep/{n % 5}/{n % 3}" / f"file-{n}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.choice([b"ab" * n, chance.randbytes(chance.randrange(9000)), b""]))
    for name, size in (("exact", 2 * BLOCK), ("tail", 3 * BLOCK + 77), ("less", BLOCK - 1)):
        (folder / name).write_bytes(b"line of text\n" * (size // 13) + b"x" * (size % 13))
    (folder / "noise").write_bytes(chance.randbytes(2 * BLOCK + 5))
    with (folder / "holes").open("wb") as stream:
        stream.seek(5 * BLOCK)
        stream.write(b"data")
        stream.truncate(20 * BLOCK + 9)
    (folder / "long").mkdir()
    for n in range(1500):
        (folder / f"long/name-number-{n:05}-{'x' * (n % 60)}").touch(mode=0o640)
    (folder / ("n" * 255)).write_text("longest name")
    (folder / "link").symlink_to("deep/0//../0/./file")
    (folder / "long-link").symlink_to("x" * 1000)
    (folder / "hard").hardlink_to(folder / "tail")
    (folder / "deep/hard").hardlink_to(folder / "tail")
    (folder / "copy").write_bytes((folder / "noise").read_bytes())
    os.mkfifo(folder / "fifo", 0o600)
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(folder / "socket"))
    (folder / "empty").mkdir(mode=0o1777)
    (folder / "less").chmod(0o4755)
    os.setxattr(folder / "tail", "user.colour", b"blue")
    os.setxattr(folder / "deep", "user.large", b"v" * 3000)
    os.utime(folder / "exact", (5, 1_000_000_000))
    if os.geteuid() == 0:
        os.mknod(folder / "null", 0o020666, os.makedev(1, 3))
        os.mknod(folder / "disk", 0o060660, os.makedev(259, 70000))
        os.setxattr(folder / "less", "security.capability", CAPABILITY)
        os.setxattr(folder / "disk", "security.own", b"on a device")
        os.setxattr(folder / "link", "security.own", b"on a link", follow_symlinks=False)
        os.chown(folder / "exact", 1234, 60000)
        os.chown(folder / "null", 0, 44)
    return folder


def made(tree: Path, codec: Codec) -> Path:
    """Our image of the tree, made once."""
    path = tree.with_name(codec.identity())
    if not path.exists():
        path.write_bytes(image_of(tree, codec=codec, block=BLOCK)[0])
    return path


CODECS = [Zstd(15), Uncompressed()]


@pytest.fixture(params=CODECS, ids=lambda codec: codec.name)
def image(request: pytest.FixtureRequest, tree: Path) -> Path:
    """Our image."""
    return made(tree, request.param)


def mksquashfs(tree: Path, image: Path, *options: str) -> Path:
    command = ["mksquashfs", str(tree), str(image), "-noappend", "-no-progress", "-quiet"]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    subprocess.run([*command, *options], check=True, capture_output=True, env=environment)
    return image


@pytest.fixture(scope="module")
def theirs(tree: Path) -> Path:
    """mksquashfs' image."""
    return mksquashfs(tree, tree.with_name("theirs"), "-comp", "zstd", "-b", str(BLOCK))


def unsquashfs(*words: str | Path) -> str:
    done = subprocess.run(["unsquashfs", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return done.stdout


def listing(image: Path) -> list[str]:
    """A listing without the sizes of folders, which depend on how their entries are divided."""
    rows = unsquashfs("-lln", image).splitlines()
    return [re.sub(r"^(d\S+ +\S+) +\d+", r"\1", row) for row in rows]


def test_the_listing_is_that_of_the_reference(image: Path, theirs: Path) -> None:
    ours = listing(image)
    assert ours == listing(theirs)
    assert len(ours) > 2400


def extracted(image: Path, target: Path) -> dict[str, tuple[object, ...]]:
    """Everything `unsquashfs` takes out."""
    unsquashfs("-no-progress", "-quiet", "-d", target, image)
    found: dict[str, tuple[object, ...]] = {}
    for base, folders, files in os.walk(target):
        for name in (*folders, *files, "."):
            path = Path(base) / name
            status = path.lstat()
            own: object = None
            if path.is_symlink():
                own = os.readlink(path)  # noqa: PTH115 - as it stands there
            elif stat.S_ISREG(status.st_mode):
                own = path.read_bytes()
            names = os.listxattr(path, follow_symlinks=False)
            xattrs = {n: os.getxattr(path, n, follow_symlinks=False) for n in names}
            row = (status.st_mode, status.st_uid, status.st_gid, int(status.st_mtime))
            links = status.st_nlink if not stat.S_ISDIR(status.st_mode) else 0
            more = (links, status.st_rdev, own, tuple(sorted(xattrs.items())))
            found[str(path.relative_to(target))] = (*row, *more)
    return found


def test_what_the_reference_takes_out_is_the_same(
    image: Path, theirs: Path, tmp_path: Path
) -> None:
    ours = extracted(image, tmp_path / "ours")
    assert ours == extracted(theirs, tmp_path / "theirs")
    assert ours["hard"][4] == 3
    assert dict(ours["tail"][7]) == {"user.colour": b"blue"}  # type: ignore[call-overload]
    if os.geteuid() == 0:
        assert dict(ours["less"][7])["security.capability"] == CAPABILITY  # type: ignore[call-overload]


SAME = (
    *("Number of inodes", "Number of ids", "Number of xattr", "Block size", "Filesystem is"),
    *("Creation or last", "Duplicates", "Compression", "Inodes are", "Data is"),
)


def test_the_superblock_says_what_the_reference_prints(tree: Path, theirs: Path) -> None:
    images = (made(tree, Zstd(15)), theirs)
    ours, reference = (unsquashfs("-s", path).splitlines() for path in images)
    for words in SAME:
        assert [r for r in ours if r.startswith(words)] == [
            r for r in reference if r.startswith(words)
        ]
    assert "\tcompression-level 15" in ours


def test_blocks_without_compression_are_said_to_be_so(tree: Path) -> None:
    said = unsquashfs("-s", made(tree, Uncompressed()))
    for what in ("Inodes are", "Data is", "Fragments are", "Xattrs are"):
        assert f"{what} uncompressed" in said


def comparable(found: dict[bytes, Described]) -> dict[bytes, Described]:
    return {path: row[:5] + (sorted(row[5]), *row[6:]) for path, row in found.items()}  # type: ignore[call-overload]


@pytest.mark.parametrize("options", [("-comp", "zstd"), ("-comp", "gzip", "-b", "4096")])
def test_our_reader_finds_the_same_in_images_of_the_reference(
    tree: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    theirs = mksquashfs(tree, tmp_path / "image", *options)
    ours = made(tree, Uncompressed())
    found, own = (comparable(described(path.read_bytes())) for path in (theirs, ours))
    assert found == own
