"""What a squashfs is made of, whoever writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kiwilite.build.job import Job
from kiwilite.build.normalise import foreign_xattrs
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.plan.references import Output

BLOCK: Final = 131072
"""Bytes: what the kernel reads and decompresses at once for any byte of a file."""


def content_folder(job: Job, tree: Output, folder: str) -> Path:
    """Where the content stands; an empty folder where the tree has none there.

    Raises StageFailed where a file carries attributes of the host.
    """
    found = inside(job.read(tree) / "tree", folder)
    if not found.is_dir():
        found = job.scratch / "empty"
        found.mkdir()
    labelled = next(foreign_xattrs(found), None)
    if labelled is not None:
        raise StageFailed(
            f"the build host's kernel labelled {labelled.name} in the tree, and that label would "
            "get into the image",
            hint="keep the store ($KIWILITE_STORE) on a file system mounted without labels",
        )
    return found
