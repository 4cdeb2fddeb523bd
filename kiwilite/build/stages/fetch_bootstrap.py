"""KIWI's bootstrap package: a package whose payload is a prebuilt tree."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.build.package_files import fetched
from kiwilite.plan.tree_steps import FetchBootstrap

PAYLOAD = "var/lib/bootstrap"


def run(step: FetchBootstrap, job: Job) -> None:
    """Put the archive into the result. Raises what `package_files.fetched` does."""
    package = step.package
    file = fetched(job, [package])[package.sha256]
    job.run(["dpkg-deb", "-x", file, job.scratch / "payload"])
    for archive in (job.scratch / "payload" / PAYLOAD).glob(f"{package.name}.*.tar.*"):
        archive.rename(job.out / archive.name)
