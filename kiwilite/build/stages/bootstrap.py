"""A minimal tree from packages, made by mmdebstrap as the namespace's root."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from kiwilite.build import syscalls as sc
from kiwilite.build.fresh import forget_host
from kiwilite.build.job import Job
from kiwilite.build.normalise import normalise
from kiwilite.build.package_files import check_installed, repository
from kiwilite.plan.references import Output
from kiwilite.plan.tree_steps import Bootstrap

ANY_SUITE = ""
"""With a name mmdebstrap 1.5 takes essential packages only from where a Release file says it."""

PACKAGES = Path("/kiwilite-packages")
"""Not below /run, which mmdebstrap empties."""


def run(step: Bootstrap, job: Job) -> None:
    """Fill `tree/`. Raises what `package_files.repository` does."""
    assert not isinstance(step.package_files, Output), "packages are selected before"
    tree = job.out / "tree"
    # The image's architecture is the host's; mknod is not for namespaces, and the devices of
    # a booted system come from devtmpfs.
    command: list[str | Path] = [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        "--skip=check/empty,output/mknod,output/dev,chroot/mount/sys",
        f"--architectures={step.architecture}",
    ]
    if step.packages:
        command.append(f"--include={','.join(step.packages)}")
    environment = {"SOURCE_DATE_EPOCH": str(step.epoch), "TMPDIR": str(job.scratch)}
    with repository(job, step.package_files) as folder, _same_place(folder, tree):
        command += [ANY_SUITE, tree, f"deb [trusted=yes] file:{PACKAGES} ./"]
        job.run(command, environment=environment)
    forget_host(tree)
    normalise(tree, epoch=step.epoch)
    check_installed(tree, step.package_files)


@contextlib.contextmanager
def _same_place(folder: Path, tree: Path) -> Iterator[None]:
    """While inside, `folder` is at `PACKAGES` for the tools and for what runs in the tree.

    apt then takes the packages from there, where it else would copy each into the tree.
    """
    PACKAGES.symlink_to(folder)
    place = tree / PACKAGES.relative_to("/")
    place.mkdir(parents=True)
    sc.bind(str(folder), str(place))
    sc.make_read_only(str(place))
    yield
    sc.umount_lazily(str(place))
    place.rmdir()
