"""The step that writes a squashfs: its index, and what it takes from earlier results."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from kiwilite.build import manifest
from kiwilite.build.job import Job
from kiwilite.build.stages import squashfs, tool_squashfs
from kiwilite.build.store import Store
from kiwilite.ondisk.squashfs.superblock import SquashfsSuperblock
from kiwilite.ondisk.squashfs.survey import ChangedFile
from kiwilite.plan.image_steps import Squashfs, ToolSquashfs
from kiwilite.plan.references import Output

EPOCH = 1_700_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder, chance = tmp_path / "customise/out/tree", random.Random(5)
    for n in range(60):
        path = folder / f"usr/{n % 4}/{n}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(3000) * chance.randrange(1, 120))
    (folder / "home/admin").mkdir(parents=True)
    (folder / "home/admin/file").touch()
    return folder


def made(
    tmp_path: Path, name: str, step: Squashfs | ToolSquashfs, earlier: tuple[Path, ...] = ()
) -> Path:
    """The result folder of the step."""
    base = tmp_path / name
    for folder in ("out", "scratch"):
        (base / folder).mkdir(parents=True)
    job = Job(
        title=name,
        out=base / "out",
        scratch=base / "scratch",
        log=base / "log",
        outputs={"customise": tmp_path / "customise/out"},
        sources={},
        cache=tmp_path,
        mirrors={},
        earlier=earlier,
    )
    if isinstance(step, ToolSquashfs):
        tool_squashfs.run(step, job)
    else:
        squashfs.run(step, job)
    return base / "out"


def step(*, folder: str = "/", level: int | None = 15, left_out: tuple[str, ...] = ()) -> Squashfs:
    return Squashfs(Output("customise"), folder, left_out, level, EPOCH)


def counted(out: Path) -> tuple[int, int]:
    """(blocks, reused) as the log says."""
    words = (out.parent / "log").read_text().split()
    return int(words[0]), int(words[2])


def test_only_what_changed_is_compressed_again_and_the_bytes_are_those_of_a_clean_build(
    tree: Path, tmp_path: Path
) -> None:
    first = made(tmp_path, "first", step())
    (tree / "usr/1/1").write_text("changed")
    other = made(tmp_path, "other", step(level=3))
    again = made(tmp_path, "again", step(), (tmp_path / "gone", other, first))
    clean = made(tmp_path, "clean", step())
    blocks, reused = counted(again)
    assert blocks - 3 <= reused < blocks
    assert counted(clean) == (blocks, 0)
    for name in ("image", "blocks"):
        assert (again / name).read_bytes() == (clean / name).read_bytes()
    assert (again / "image").read_bytes() != (first / "image").read_bytes()


def demand_same(one: Path, other: Path) -> None:
    for name in ("image", "blocks"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("folder", ["/", "/usr/1"])
def test_what_the_manifest_says_of_contents_is_not_read_again(
    tree: Path, tmp_path: Path, folder: str
) -> None:
    (tree / "usr/1/second").hardlink_to(tree / "usr/0/0")
    with (tree / "usr/1/holes").open("wb") as stream:
        stream.seek(3 << 20)
        stream.write(b"end")
    clean = made(tmp_path, "clean", step(folder=folder))
    manifest.write(tmp_path / "customise")
    demand_same(made(tmp_path, "noted", step(folder=folder)), clean)
    # The way to tell whether it is read: what stands there now is something else.
    for path in (tree / "usr/1").iterdir():
        path.write_bytes(b"!" * path.stat().st_size)
        os.utime(path, (EPOCH, EPOCH))
    os.utime(tree / "usr/1", (EPOCH, EPOCH))
    demand_same(made(tmp_path, "again", step(folder=folder), (clean,)), clean)
    with pytest.raises(ChangedFile):
        made(tmp_path, "alone", step(folder=folder))


def test_a_damaged_manifest_says_nothing_of_contents(tree: Path, tmp_path: Path) -> None:
    clean = made(tmp_path, "clean", step())
    manifest.write(tmp_path / "customise")
    path = tmp_path / "customise" / manifest.FILE
    path.write_bytes(path.read_bytes()[:-1])
    demand_same(made(tmp_path, "again", step()), clean)


def test_what_has_another_size_than_the_manifest_says_is_read(tree: Path, tmp_path: Path) -> None:
    manifest.write(tmp_path / "customise")
    (tree / "usr/1/1").write_text("shorter")
    noted = made(tmp_path, "noted", step())
    (tmp_path / "customise" / manifest.FILE).unlink()
    demand_same(noted, made(tmp_path, "clean", step()))


def test_folders_that_belong_elsewhere_stay_and_are_empty(tree: Path, tmp_path: Path) -> None:
    whole = made(tmp_path, "whole", step(left_out=("/home", "/srv/none")))
    (tree / "home/admin/file").unlink()
    (tree / "home/admin").rmdir()
    os.utime(tree / "home", (EPOCH, EPOCH))
    without = made(tmp_path, "without", step())
    assert (whole / "image").read_bytes() == (without / "image").read_bytes()


def test_a_folder_that_is_not_there_makes_an_empty_image(tree: Path, tmp_path: Path) -> None:
    image = made(tmp_path, "empty", step(folder="/var/lib/none"))
    assert counted(image) == (0, 0)
    assert (image / "image").stat().st_size == 4096


def test_a_subfolder_s_own_mount_points_are_told_from_its_root(tree: Path, tmp_path: Path) -> None:
    (tree / "usr/0/home").mkdir()
    (tree / "usr/0/home/file").touch()
    image = made(tmp_path, "inner", step(folder="/usr/0", left_out=("/usr/0/home",)))
    (tree / "usr/0/home/file").unlink()
    os.utime(tree / "usr/0/home", (EPOCH, EPOCH))
    other = made(tmp_path, "other", step(folder="/usr/0"))
    assert (image / "image").read_bytes() == (other / "image").read_bytes()


@pytest.mark.skipif(shutil.which("mksquashfs") is None, reason="mksquashfs is not installed")
@pytest.mark.parametrize("compression", ["gzip", "xz", "lz4", "lzo"])
def test_other_compressors_are_those_of_mksquashfs(
    tree: Path, tmp_path: Path, compression: str
) -> None:
    level = 3 if compression == "gzip" else None
    wish = ToolSquashfs(Output("customise"), "/", ("/home",), compression, level, EPOCH)
    image = made(tmp_path, "tool", wish) / "image"
    found = SquashfsSuperblock.unpack(image.read_bytes())
    ours = SquashfsSuperblock.unpack((made(tmp_path, "ours", step()) / "image").read_bytes())
    assert (found.compressor, found.made_at) == (compression, EPOCH)
    assert found.inodes == ours.inodes - 2  # what is below /home


def test_the_newest_results_come_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number, key in enumerate(("old", "new", "middle")):
        out = store.entries / key / "out"
        out.mkdir(parents=True)
        (out / "blocks").touch()
        os.utime(out / "blocks", (number * 10 % 13, number * 10 % 13))
    (store.entries / "without/out").mkdir(parents=True)
    assert [p.parent.name for p in store.newest_with("blocks")] == ["new", "middle", "old"]
