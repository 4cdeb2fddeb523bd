"""A tree as an archive that is the same bytes wherever it is made."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.plan.tree_steps import PackBootstrap


def run(step: PackBootstrap, job: Job) -> None:
    """Write `bootstrap.tar.zst`."""
    tree = job.read(step.tree) / "tree"
    archive = job.out / "bootstrap.tar"
    job.run(
        [
            "tar",
            "--create",
            f"--file={archive}",
            f"--directory={tree}",
            "--sort=name",
            "--numeric-owner",
            "--format=posix",
            "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
            "--xattrs",
            "--xattrs-include=security.capability",
            "--acls",
            f"--mtime=@{step.epoch}",
            "--clamp-mtime",
            ".",
        ]
    )
    # A higher level costs more than all else here.
    job.run(["zstd", "--quiet", "-3", "--rm", archive])
