"""What a squashfs costs: clean, and after one changed file; and how small it is.

    python benchmarks/squashfs_speed.py [TREE]

TREE is a root tree; without it, the newest customised tree of the store is taken. For
mksquashfs and for our writer, at levels 3 and 15 of zstd in one run, it prints

- the image's size;
- the CPU seconds, user and system of all processes, of making it without anything to
  begin with, and once more after one small file changed;
- the CPU seconds of `unsquashfs` reading all of it again, which stands for what a boot
  pays for decompression; writing the files is in it, and the same for all;
- the most memory one of the processes had.

The tree is copied first, because one of its files is changed. Run it as who owns the tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.store import default_store
from kiwilite.build.tree_nodes import tree_nodes
from kiwilite.ondisk.squashfs.codec import Zstd
from kiwilite.ondisk.squashfs.known_blocks import IndexedImage, KnownBlocks
from kiwilite.ondisk.squashfs.writer import Settings, write
from kiwilite.parallel import in_parallel

EPOCH = 1754697600
BLOCK = 131072
LEVELS = (3, 15)
CHANGED = "etc/hostname"


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds, and MiB of the largest process."""

    cpu: float
    memory: int


def measured(command: Sequence[str | Path]) -> Cost:
    """Run a command that has to succeed."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)}
    child = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # unsquashfs has 2 for what this user or this file system cannot have, such as devices.
    if child.returncode not in (0, 2):
        sys.exit(f"{command[0]} ended with status {child.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10)


def ours(tree: Path, image: Path, level: int, earlier: Path | None) -> list[str | Path]:
    """The command that runs `write_one`."""
    words: list[str | Path] = [sys.executable, Path(__file__), "--write", tree, image, str(level)]
    return [*words, *([earlier] if earlier else [])]


def write_one(tree: Path, image: Path, level: int, earlier: Sequence[Path]) -> None:
    """Make an image with our writer."""
    codec = Zstd(level)
    images = [IndexedImage(path, path.with_suffix(".blocks")) for path in earlier]
    known = KnownBlocks.of(images, codec.identity())
    nodes = tree_nodes(tree, emptied=(), epoch=EPOCH)
    with image.open("wb") as target:
        written = write(nodes, tree, target, Settings(BLOCK, codec, EPOCH), known, in_parallel)
    image.with_suffix(".blocks").write_bytes(written.index)


def theirs(tree: Path, image: Path, level: int) -> list[str | Path]:
    """The command that makes it with mksquashfs."""
    options = ["-noappend", "-quiet", "-no-progress", "-mem", "256M", "-b", str(BLOCK)]
    return ["mksquashfs", tree, image, *options, "-comp", "zstd", "-Xcompression-level", str(level)]


def change(tree: Path) -> None:
    """Edit the one file."""
    with (tree / CHANGED).open("a") as stream:
        stream.write("edited\n")


def newest_tree() -> Path:
    """Of the store."""
    found = default_store().glob("entries/*/out/tree/etc/hostname")
    paths = sorted((p.parent.parent for p in found), key=lambda p: p.parent.stat().st_mtime)
    if not paths:
        sys.exit("the store has no root tree: build an image first, or name a tree")
    return paths[-1]


def rows(source: Path, base: Path) -> None:
    """Measure and print everything."""
    tree, out = base / "tree", base / "out"
    before: dict[tuple[str, int], tuple[int, Cost]] = {}
    subprocess.run(["cp", "-a", "--reflink=auto", source, tree], check=True)
    for level in LEVELS:
        image = base / f"{level}.image"
        before["mksquashfs", level] = _made(theirs(tree, image, level), image)
        image = base / f"{level}-ours.image"
        before["kiwilite", level] = _made(ours(tree, image, level, None), image)
    change(tree)
    print(f"{'':12} level     size    clean  changed  reading   memory")
    print(f"{'':12}            MB    CPU s    CPU s    CPU s      MiB")
    for (name, level), (size, clean) in before.items():
        earlier, image = base / f"{level}-ours.image", base / "changed.image"
        command = theirs(tree, image, level)
        if name == "kiwilite":
            command = ours(tree, image, level, earlier)
        again = measured(command)
        reading = measured(["unsquashfs", "-quiet", "-no-progress", "-d", out, image])
        shutil.rmtree(out)
        numbers = (size / 1e6, clean.cpu, again.cpu, reading.cpu)
        print(f"{name:12} {level:5}", *(f"{n:8.2f}" for n in numbers), f"{clean.memory:8}")


def _made(command: Sequence[str | Path], image: Path) -> tuple[int, Cost]:
    cost = measured(command)
    return image.stat().st_size, cost


def main(arguments: Sequence[str]) -> None:
    """Measure, or be measured."""
    if arguments[:1] == ["--write"]:
        tree, image, level, *earlier = arguments[1:]
        write_one(Path(tree), Path(image), int(level), [Path(path) for path in earlier])
        return
    source = Path(arguments[0]) if arguments else newest_tree()
    with tempfile.TemporaryDirectory(prefix="kiwilite-squashfs.", dir="/var/tmp") as base:
        rows(source, Path(base))


if __name__ == "__main__":
    main(sys.argv[1:])
