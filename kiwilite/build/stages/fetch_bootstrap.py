"""KIWI's bootstrap package: a package whose payload is a prebuilt tree."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.build.package_files import file_in, repository
from kiwilite.plan.tree_steps import FetchBootstrap

PAYLOAD = "var/lib/bootstrap"


def run(step: FetchBootstrap, job: Job) -> None:
    """Put the archive into the result. Raises what `package_files.repository` does."""
    package = step.package
    with repository(job, [package]) as folder:
        job.run(["dpkg-deb", "-x", file_in(folder, package), job.scratch / "payload"])
    for archive in (job.scratch / "payload" / PAYLOAD).glob(f"{package.name}.*.tar.*"):
        archive.rename(job.out / archive.name)
