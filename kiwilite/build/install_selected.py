"""What the steps that put packages into an image's tree have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kiwilite.build import apt
from kiwilite.build.job import Job
from kiwilite.build.normalise import drop_bytecode
from kiwilite.build.package_files import repository
from kiwilite.plan.selection import PackageFile
from kiwilite.plan.tree_steps import MorePackages, Packages


def install_selected(
    step: Packages | MorePackages, job: Job, tree: Path, files: Sequence[PackageFile]
) -> None:
    """Install what the step asks for, with no other packages than `files` at hand.

    Raises what `package_files.repository` does.
    """
    recommends: apt.Recommends = "recommends" if step.recommends else "no-recommends"
    with repository(job, files) as folder:
        apt.install(job, tree, step.packages, folder, recommends=recommends, epoch=step.epoch)
    # Scripts of packages that are Python leave some: what they import is compiled as it runs.
    drop_bytecode(tree)
