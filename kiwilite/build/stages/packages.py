"""The image's packages on top of the minimal tree: all of them, or the large ones."""

from __future__ import annotations

import functools
from pathlib import Path

from kiwilite.build.initrd_package import INITRD_CONTROL, INITRD_PACKAGE
from kiwilite.build.install_selected import install_selected
from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.layers import derive_tree
from kiwilite.build.package_files import check_installed
from kiwilite.build.scripts import Scripting, run_script
from kiwilite.build.tree import place_file, unpack_archive
from kiwilite.errors import StageFailed
from kiwilite.ondisk.deb import write_deb
from kiwilite.plan.references import Output, Source
from kiwilite.plan.tree_steps import Packages

SELECTING = (
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/*",
    "etc/apt/preferences",
    "etc/apt/preferences.d/*",
    "var/lib/dpkg/arch",
)
"""Files of a tree by which its apt selects packages."""


def run(step: Packages, job: Job) -> None:
    """Fill `tree/`. Raises what `package_files.repository` does."""
    derive_tree(job, step.tree, functools.partial(_complete, job, step))


def _complete(job: Job, step: Packages, tree: Path) -> None:
    assert not isinstance(step.package_files, Output), "packages are selected before"
    for archive in step.archives:
        unpack_archive(job, tree, archive)
    for item in step.files:
        place_file(job, tree, item)
    if step.post_bootstrap:
        scripting = Scripting(step.script_variables, step.script_network, step.epoch)
        _post_bootstrap(job, tree, step.post_bootstrap, scripting)
    _provide_initrd(job, tree)
    install_selected(step, job, tree, step.package_files)
    if step.scope == "all":
        check_installed(tree, step.package_files)


def _post_bootstrap(job: Job, tree: Path, script: Source, scripting: Scripting) -> None:
    """Run the script; StageFailed where it wants a say in a choice that was made before."""
    before = _selecting(tree)
    run_script(job, tree, "post_bootstrap", script, scripting)
    changed = [name for name, text in _selecting(tree).items() if before.get(name) != text]
    if changed:
        raise StageFailed(
            f"the script changes how apt selects packages (/{changed[0]}), and they are selected "
            "before it runs",
            where=str(script.path),
            hint="name repositories and priorities in the description, as <repository>; what "
            "only devices need of this is for config.sh",
        )


def _selecting(tree: Path) -> dict[str, bytes]:
    paths = [p for pattern in SELECTING for p in sorted(tree.glob(pattern)) if p.is_file()]
    return {str(p.relative_to(tree)): p.read_bytes() for p in paths}


def _provide_initrd(job: Job, tree: Path) -> None:
    """Kernels depend on a tool that makes initrds; ours is made outside, so say that it is there.

    Without this the distribution's tool would come in and build an initrd nobody uses.
    """
    package = job.scratch / f"{INITRD_PACKAGE}.deb"
    package.write_bytes(write_deb(INITRD_CONTROL, {}))
    run_in_tree(
        job, tree, ["dpkg", "--install", "/run/kiwilite.deb"], binds={"/run/kiwilite.deb": package}
    )
