"""A folder of the tree as a reproducible squashfs."""

from __future__ import annotations

from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.normalise import foreign_xattrs
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.plan.image_steps import Squashfs

BLOCK = 131072
LEVEL_OPTION = {"zstd": "-Xcompression-level", "gzip": "-Xcompression-level"}
MEMORY = "256M"
"""mksquashfs would take a quarter of the machine."""


def run(step: Squashfs, job: Job) -> None:
    """Fill `image`: a squashfs padded to 4096 bytes."""
    tree = job.read(step.tree) / "tree"
    folder = inside(tree, step.folder)
    if not folder.is_dir():
        folder = job.scratch / "empty"
        folder.mkdir()
    _refuse_foreign(folder)
    command: list[str | Path] = ["mksquashfs", folder, job.out / "image", "-noappend"]
    command += ["-quiet", "-no-progress", "-b", str(BLOCK), "-mem", MEMORY]
    if step.compression == "uncompressed":
        command += ["-noI", "-noD", "-noF", "-noX", "-noId"]
    else:
        command += ["-comp", step.compression]
    if step.level is not None and step.compression in LEVEL_OPTION:
        command += [LEVEL_OPTION[step.compression], str(step.level)]
    left_out = [m.removeprefix(step.folder.rstrip("/")) for m in step.leave_out]
    if left_out:
        patterns = job.scratch / "leave-out"
        rows = [f"{m.lstrip('/')}/{glob}" for m in left_out for glob in ("*", ".[!.]*", "..?*")]
        patterns.write_text("".join(f"{row}\n" for row in rows))
        command += ["-wildcards", "-ef", patterns]
    job.run(command, environment={"SOURCE_DATE_EPOCH": str(step.epoch)})


def _refuse_foreign(folder: Path) -> None:
    found = next(foreign_xattrs(folder), None)
    if found is not None:
        raise StageFailed(
            f"the build host's kernel labelled {found.name} in the tree, and that label would get "
            "into the image",
            hint="keep the store ($KIWILITE_STORE) on a file system mounted without labels",
        )
