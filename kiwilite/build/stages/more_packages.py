"""The image's other packages on top of the tree that has the large ones."""

from __future__ import annotations

import functools
from pathlib import Path

from kiwilite.build.install_selected import install_selected
from kiwilite.build.job import Job
from kiwilite.build.layers import derive_tree
from kiwilite.build.package_files import check_installed, lacking
from kiwilite.plan.tree_steps import MorePackages


def run(step: MorePackages, job: Job) -> None:
    """Fill `tree/`. Raises what `package_files.repository` does."""
    derive_tree(job, step.tree, functools.partial(_complete, job, step))


def _complete(job: Job, step: MorePackages, tree: Path) -> None:
    install_selected(step, job, tree, lacking(tree, step.package_files))
    check_installed(tree, step.package_files)
