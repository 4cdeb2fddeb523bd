"""A folder of the tree as a reproducible squashfs, written by `ondisk.squashfs`."""

from __future__ import annotations

import contextlib
import os

from kiwilite.build.job import Job
from kiwilite.build.squashfs_content import BLOCK, content_folder, noted_contents
from kiwilite.build.tree_nodes import tree_nodes
from kiwilite.ondisk.squashfs.codec import Codec, Uncompressed, Zstd
from kiwilite.ondisk.squashfs.known_blocks import IndexedImage, KnownBlocks
from kiwilite.ondisk.squashfs.tree import RegularFile
from kiwilite.ondisk.squashfs.writer import Settings, write
from kiwilite.parallel import in_parallel
from kiwilite.plan.image_steps import BLOCKS, Squashfs


def run(step: Squashfs, job: Job) -> None:
    """Fill `image`, a squashfs padded to 4096 bytes, and `blocks`, its index."""
    folder = content_folder(job, step.tree, step.folder)
    emptied = {os.fsencode(os.path.relpath(m, step.folder)) for m in step.leave_out}
    tree = tree_nodes(folder, emptied=emptied, epoch=step.epoch)
    files = (node.body for node in tree.nodes if isinstance(node.body, RegularFile))
    noted = noted_contents(job, step.tree, folder, files)
    codec: Codec = Uncompressed() if step.level is None else Zstd(step.level)
    images = [IndexedImage(out / "image", out / BLOCKS) for out in job.earlier]
    known = KnownBlocks.of(images, codec.identity())
    settings = Settings(BLOCK, codec, step.epoch)
    with contextlib.closing(known), (job.out / "image").open("wb") as target:
        written = write(tree, folder, target, settings, known, in_parallel, noted=noted)
    (job.out / BLOCKS).write_bytes(written.index)
    job.note(f"{written.blocks} blocks, {written.reused} of them from earlier images\n")
