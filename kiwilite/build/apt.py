"""apt inside a tree: source lists, downloads with the network, installation without it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.sources import local_binds, source_line, unreachable
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import AptSource

Recommends = Literal["recommends", "no-recommends"]

LIST = "etc/apt/sources.list.d/kiwilite-build.list"
PREFERENCES = "etc/apt/preferences.d/kiwilite-build"
CONFIGURATION = "etc/apt/apt.conf.d/99kiwilite-build"
KEYS = "etc/apt/kiwilite-build-keys"

_CONFIGURATION_TEXT = """\
APT::Install-Suggests "false";
APT::Sandbox::User "root";
APT::Color "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "30";
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT::Keep-Downloaded-Packages "true";
Dpkg::Use-Pty "false";
Dpkg::Options { "--force-unsafe-io"; "--force-confdef"; "--force-confold"; };
"""


def write_sources(job: Job, tree: Path, sources: Sequence[AptSource]) -> None:
    """Set up apt in the tree for the time of the build; `remove_sources` takes it away."""
    lines = []
    for number, source in enumerate(s for s in sources if not s.image_only):
        keys = []
        for key in source.signed_by:
            target = tree / KEYS / f"{number}-{key.path.name}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(job.source(key), target)
            keys.append(f"/{target.relative_to(tree)}")
        lines.append(source_line(job, source, keys))
    if lines:
        _write(tree / LIST, "\n".join(lines) + "\n")
    if preferences := pins(sources):
        _write(tree / PREFERENCES, preferences)
    _write(tree / CONFIGURATION, _CONFIGURATION_TEXT)


def pins(sources: Sequence[AptSource]) -> str:
    """The sources' priorities as apt's preferences; empty where none has one."""
    return "\n".join(
        f"Package: *\nPin: release n={source.suite}\nPin-Priority: {source.priority}\n"
        for source in sources
        if not source.image_only and source.priority is not None
    )


def remove_sources(tree: Path) -> None:
    """Take away what `write_sources` put into the tree, and the lists apt fetched."""
    for name in (LIST, PREFERENCES, CONFIGURATION):
        (tree / name).unlink(missing_ok=True)
    shutil.rmtree(tree / KEYS, ignore_errors=True)
    for folder in ("var/lib/apt/lists", "var/cache/apt/archives"):
        for path in (tree / folder).glob("*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in (tree / "var/cache/apt").glob("*.bin"):
        path.unlink()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def update(job: Job, tree: Path, sources: Sequence[AptSource]) -> None:
    """apt-get update with the network. Raises SourceUnreachable."""
    _fetching(job, tree, ["apt-get", "update", "--error-on=any"], local_binds(job, sources))


def install(
    job: Job,
    tree: Path,
    packages: Sequence[str],
    sources: Sequence[AptSource],
    *,
    recommends: Recommends,
    epoch: int,
) -> None:
    """Download with the network, then install without it, so that no script can use it."""
    archives = job.cache / "debian"
    (archives / "partial").mkdir(parents=True, exist_ok=True)
    binds = {"/var/cache/apt/archives": archives, **local_binds(job, sources)}
    # The tree is ours alone, and the folder of packages is guarded by a lock that waits.
    command = ["apt-get", "install", "--yes", "--no-auto-remove", "-oDebug::NoLocking=true"]
    command += ["--install-recommends" if recommends == "recommends" else "--no-install-recommends"]
    with (job.cache / "downloading").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _fetching(job, tree, [*command, "--download-only", *packages], binds)
    run_in_tree(
        job,
        tree,
        [*command, "--no-download", *packages],
        environment={"SOURCE_DATE_EPOCH": str(epoch)},
        binds=binds,
    )


def _fetching(job: Job, tree: Path, command: list[str], binds: Mapping[str, Path]) -> None:
    try:
        run_in_tree(job, tree, command, network="host", binds=binds)
    except StageFailed as error:
        raise unreachable(error) from error
