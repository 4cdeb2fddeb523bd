"""KIWI's bootstrap package: a package whose payload is a prebuilt tree."""

from __future__ import annotations

from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.sources import source_line, unreachable
from kiwilite.build.stages.bootstrap import keyrings
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import FetchBootstrap

PAYLOAD = "var/lib/bootstrap"


def run(step: FetchBootstrap, job: Job) -> None:
    """Put the archive into the result; nothing, where no repository has such a package."""
    apt = job.scratch / "apt"
    for folder in ("lists/partial", "archives/partial", "etc", "trusted"):
        (apt / folder).mkdir(parents=True)
    for number, key in enumerate(keyrings(step.sources, job)):
        (apt / f"trusted/{number}{key.suffix}").symlink_to(key)
    lines = [source_line(job, s) for s in step.sources if not s.image_only]
    (apt / "etc/sources.list").write_text("".join(f"{line}\n" for line in lines))
    (apt / "status").touch()
    options = _options(apt, step.architecture)
    try:
        job.run(["apt-get", *options, "update", "--error-on=any"])
    except StageFailed as error:
        raise unreachable(error) from error
    known = job.run(["apt-cache", *options, "pkgnames", step.name]).split()
    if step.name not in known:
        return
    job.run(["apt-get", *options, "download", step.name])
    for package in job.scratch.glob(f"{step.name}_*.deb"):
        job.run(["dpkg-deb", "-x", package, job.scratch / "payload"])
    for archive in (job.scratch / "payload" / PAYLOAD).glob(f"{step.name}.*.tar.*"):
        archive.rename(job.out / archive.name)


def _options(apt: Path, architecture: str) -> list[str]:
    pairs = {
        "APT::Architecture": architecture,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt,
        "Dir::Cache::archives": apt / "archives",
        "Dir::Etc": apt / "etc",
        "Dir::Etc::trustedparts": apt / "trusted",
        "Acquire::Languages": "none",
    }
    return [f"-o{name}={value}" for name, value in pairs.items()]
