"""A minimal tree from a prebuilt archive."""

from __future__ import annotations

from kiwilite.build.fresh import forget_host
from kiwilite.build.job import Job
from kiwilite.build.tree import unpack
from kiwilite.plan.tree_steps import UnpackBootstrap


def run(step: UnpackBootstrap, job: Job) -> None:
    """Fill `tree/` from the archive, owners and capabilities kept."""
    tree = job.out / "tree"
    tree.mkdir()
    unpack(job, job.source(step.archive), tree)
    forget_host(tree)
