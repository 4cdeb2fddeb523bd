"""A minimal tree from packages, made by mmdebstrap as the namespace's root."""

from __future__ import annotations

from pathlib import Path

from kiwilite.build.fresh import forget_host
from kiwilite.build.job import Job
from kiwilite.build.sources import source_line, unreachable
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import AptSource, Bootstrap

KEYRING_FOLDER = Path("/usr/share/keyrings")


def run(step: Bootstrap, job: Job) -> None:
    """Fill `tree/`. Raises SourceUnreachable when a repository cannot be had."""
    tree = job.out / "tree"
    # The image's architecture is the host's; mknod is not for namespaces, and the devices of
    # a booted system come from devtmpfs.
    command: list[str | Path] = [
        "mmdebstrap",
        "--mode=root",
        "--variant=apt",
        "--format=directory",
        "--skip=output/mknod,output/dev,chroot/mount/sys",
        f"--architectures={step.architecture}",
    ]
    if step.packages:
        command.append(f"--include={','.join(step.packages)}")
    command += [f"--keyring={path}" for path in keyrings(step.sources, job)]
    command += [step.sources[0].suite, tree]
    command += [source_line(job, s) for s in step.sources if not s.image_only]
    environment = {"SOURCE_DATE_EPOCH": str(step.epoch), "TMPDIR": str(job.scratch)}
    try:
        job.run(command, environment=environment)
    except StageFailed as error:
        raise unreachable(error) from error
    forget_host(tree)


def keyrings(sources: tuple[AptSource, ...], job: Job) -> list[Path]:
    """Keys of the description, and the archive keyrings this host has for distributions."""
    own = [job.source(key) for s in sources for key in s.signed_by]
    if not any(s.uri.startswith("distro:") for s in sources):
        return own
    return own + sorted(KEYRING_FOLDER.glob("*-archive-keyring.*"))
