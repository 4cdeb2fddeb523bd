"""The image's packages on top of the minimal tree."""

from __future__ import annotations

from pathlib import Path

from kiwilite.build import apt
from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.scripts import Scripting, run_script
from kiwilite.build.tree import copy_tree, place_file, unpack_archive
from kiwilite.ondisk.deb import write_deb
from kiwilite.plan.tree_steps import Packages

INITRD_PACKAGE = "kiwilite-initrd"
INITRD_CONTROL = {
    "Package": INITRD_PACKAGE,
    "Version": "1",
    "Architecture": "all",
    "Maintainer": "kiwilite <root@localhost>",
    "Provides": "linux-initramfs-tool",
    "Section": "kernel",
    "Priority": "optional",
    "Description": "says that kiwilite makes the initrd of this image",
}


def run(step: Packages, job: Job) -> None:
    """Fill `tree/`."""
    tree = job.out / "tree"
    copy_tree(job, job.read(step.tree) / "tree", tree)
    for archive in step.archives:
        unpack_archive(job, tree, archive)
    for item in step.files:
        place_file(job, tree, item)
    scripting = Scripting(step.script_variables, step.script_network, step.epoch)
    if step.post_bootstrap:
        run_script(job, tree, "post_bootstrap", step.post_bootstrap, scripting)
    _provide_initrd(job, tree)
    apt.write_sources(job, tree, step.sources)
    apt.update(job, tree, step.sources)
    recommends: apt.Recommends = "recommends" if step.recommends else "no-recommends"
    apt.install(job, tree, step.packages, step.sources, recommends=recommends, epoch=step.epoch)
    apt.remove_sources(tree)


def _provide_initrd(job: Job, tree: Path) -> None:
    """Kernels depend on a tool that makes initrds; ours is made outside, so say that it is there.

    Without this the distribution's tool would come in and build an initrd nobody uses.
    """
    package = job.scratch / f"{INITRD_PACKAGE}.deb"
    package.write_bytes(write_deb(INITRD_CONTROL, {}))
    run_in_tree(
        job, tree, ["dpkg", "--install", "/run/kiwilite.deb"], binds={"/run/kiwilite.deb": package}
    )
