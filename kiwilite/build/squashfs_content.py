"""What a squashfs is made of, whoever writes it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kiwilite.build import manifest
from kiwilite.build.input_manifests import input_of
from kiwilite.build.job import Job
from kiwilite.build.normalise import foreign_xattrs
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.ondisk.squashfs.survey import Noted
from kiwilite.ondisk.squashfs.tree import RegularFile
from kiwilite.plan.references import Output

BLOCK: Final = manifest.BLOCK
"""Bytes: what the kernel reads and decompresses at once for any byte of a file."""


def content_folder(job: Job, tree: Output, folder: str) -> Path:
    """Where the content stands; an empty folder where the tree has none there."""
    found = inside(job.read(tree) / "tree", folder)
    if not found.is_dir():
        found = job.scratch / "empty"
        found.mkdir()
    return found


def refuse_labels(folder: Path) -> None:
    """Raise StageFailed where a file carries attributes of the host."""
    for path in foreign_xattrs(folder):
        raise labelled(path)


def labelled(path: Path) -> StageFailed:
    """What is wrong with a file that carries attributes of the host."""
    return StageFailed(
        f"the build host's kernel labelled {path.name} in the tree, and that label would "
        "get into the image",
        hint="keep the store ($KIWILITE_STORE) on a file system mounted without labels",
    )


def noted_contents(job: Job, tree: Output, folder: Path, files: Iterable[RegularFile]) -> Noted:
    """What the manifest of another step's result has noted of `files` below `folder` of it."""
    result = job.read(tree)
    if not folder.is_relative_to(result):
        return {}
    rows = input_of(job, tree).files
    prefix = f"{folder.relative_to(result)}/"
    found = ((f, rows.get(f"{prefix}{os.fsdecode(f.path)}")) for f in files)
    return {
        file.path: manifest.text_digests(row.content)
        for file, row in found
        if row is not None and row.size == file.size
    }
