"""The dm-verity superblock and hash tree over an image."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.ondisk.verity import write_hash_area
from kiwilite.plan.image_steps import Verity


def run(step: Verity, job: Job) -> None:
    """Fill `hashes` (what stands behind the image in its partition) and `roothash`."""
    image = job.read(step.image) / "image"
    size = None if step.data_blocks is None else step.data_blocks * 4096
    with (job.out / "hashes").open("wb") as out:
        root_hash = write_hash_area(
            image, out, uuid=step.uuid, salt=bytes.fromhex(step.salt), data_bytes=size
        )
    (job.out / "roothash").write_text(f"{root_hash.hex()}\n")
