"""A folder of the tree as a reproducible squashfs, by mksquashfs."""

from __future__ import annotations

from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.squashfs_content import BLOCK, content_folder, refuse_labels
from kiwilite.plan.image_steps import ToolSquashfs

MEMORY = "256M"
"""mksquashfs would take a quarter of the machine."""


def run(step: ToolSquashfs, job: Job) -> None:
    """Fill `image`: a squashfs padded to 4096 bytes. StageFailed where a file has host labels."""
    folder = content_folder(job, step.tree, step.folder)
    refuse_labels(folder)
    command: list[str | Path] = ["mksquashfs", folder, job.out / "image", "-noappend"]
    command += ["-quiet", "-no-progress", "-b", str(BLOCK), "-mem", MEMORY]
    command += ["-comp", step.compression]
    if step.level is not None and step.compression == "gzip":
        command += ["-Xcompression-level", str(step.level)]
    left_out = [m.removeprefix(step.folder.rstrip("/")) for m in step.leave_out]
    if left_out:
        patterns = job.scratch / "leave-out"
        rows = [f"{m.lstrip('/')}/{glob}" for m in left_out for glob in ("*", ".[!.]*", "..?*")]
        patterns.write_text("".join(f"{row}\n" for row in rows))
        command += ["-wildcards", "-ef", patterns]
    job.run(command, environment={"SOURCE_DATE_EPOCH": str(step.epoch)})
