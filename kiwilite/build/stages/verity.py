"""The dm-verity superblock and hash tree over an image."""

from __future__ import annotations

from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.errors import StageFailed
from kiwilite.ondisk.verity import write_hash_area
from kiwilite.plan.image_steps import Verity
from kiwilite.plan.partitions import round_up


def run(step: Verity, job: Job) -> None:
    """Fill `hashes` (superblock and tree) and `roothash`."""
    image = job.read(step.image) / "image"
    _check_blocks(step, image)
    with (job.out / "hashes").open("wb") as out:
        root_hash = write_hash_area(
            image,
            out,
            uuid=step.uuid,
            salt=bytes.fromhex(step.salt),
            data_block_size=step.data_block_size,
            hash_block_size=step.hash_block_size,
            algorithm=step.algorithm,
        )
    (job.out / "roothash").write_text(f"{root_hash.hex()}\n")


def _check_blocks(step: Verity, image: Path) -> None:
    """A device of another size than the file system is refused by the kernel, or not covered."""
    size = image.stat().st_size
    needed = round_up(size, step.data_block_size) // step.data_block_size
    if step.data_blocks in (None, needed):
        return
    fault = "does not cover the whole" if (step.data_blocks or 0) < needed else "goes beyond the"
    raise StageFailed(
        f"verity_blocks={step.data_blocks} {fault} squashfs, which has {needed} blocks of "
        f"{step.data_block_size} bytes: it would not mount",
        where=step.where,
        hint=f'write verity_blocks="all", which follows the content, or "{needed}"',
    )
