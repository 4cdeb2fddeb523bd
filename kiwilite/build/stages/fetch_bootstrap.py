"""KIWI's bootstrap package: a package whose payload is a prebuilt tree."""

from __future__ import annotations

from kiwilite.build.apt_outside import updated
from kiwilite.build.job import Job
from kiwilite.plan.tree_steps import FetchBootstrap

PAYLOAD = "var/lib/bootstrap"


def run(step: FetchBootstrap, job: Job) -> None:
    """Put the archive into the result; nothing, where no repository has such a package."""
    apt = updated(job, step.sources, step.architecture)
    if step.name not in apt.run("apt-cache", "pkgnames", step.name).split():
        return
    apt.run("apt-get", "download", step.name)
    for package in job.scratch.glob(f"{step.name}_*.deb"):
        job.run(["dpkg-deb", "-x", package, job.scratch / "payload"])
    for archive in (job.scratch / "payload" / PAYLOAD).glob(f"{step.name}.*.tar.*"):
        archive.rename(job.out / archive.name)
