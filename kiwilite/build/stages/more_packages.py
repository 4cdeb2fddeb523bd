"""The image's other packages on top of the tree that has the large ones."""

from __future__ import annotations

from kiwilite.build import apt
from kiwilite.build.job import Job
from kiwilite.build.package_files import check_installed, lacking, repository
from kiwilite.build.tree import copy_tree
from kiwilite.plan.tree_steps import MorePackages


def run(step: MorePackages, job: Job) -> None:
    """Fill `tree/`. Raises what `package_files.repository` does."""
    tree = job.out / "tree"
    copy_tree(job, job.read(step.tree) / "tree", tree)
    recommends: apt.Recommends = "recommends" if step.recommends else "no-recommends"
    with repository(job, lacking(tree, step.package_files)) as folder:
        apt.install(job, tree, step.packages, folder, recommends=recommends, epoch=step.epoch)
    check_installed(tree, step.package_files)
