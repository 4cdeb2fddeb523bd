"""The image's other packages on top of the tree that has the large ones."""

from __future__ import annotations

import functools
from pathlib import Path

from kiwilite.build import apt
from kiwilite.build.job import Job
from kiwilite.build.layers import derive_tree
from kiwilite.build.normalise import drop_bytecode
from kiwilite.build.package_files import check_installed, lacking, repository
from kiwilite.plan.tree_steps import MorePackages


def run(step: MorePackages, job: Job) -> None:
    """Fill `tree/`. Raises what `package_files.repository` does."""
    derive_tree(job, step.tree, functools.partial(_install, job, step))


def _install(job: Job, step: MorePackages, tree: Path) -> None:
    recommends: apt.Recommends = "recommends" if step.recommends else "no-recommends"
    with repository(job, lacking(tree, step.package_files)) as folder:
        apt.install(job, tree, step.packages, folder, recommends=recommends, epoch=step.epoch)
    check_installed(tree, step.package_files)
    drop_bytecode(tree)
