"""apt without a tree: package lists of a description's sources, and a dpkg status of one's own.

Nothing of the host's installed packages counts. For questions; `apt` installs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build import package_lists
from kiwilite.build.job import Job
from kiwilite.build.mirrors import DISTRO, is_local
from kiwilite.build.sources import source_line, unreachable
from kiwilite.errors import SourceUnreachable, StageFailed
from kiwilite.plan.tree_steps import AptSource

KEYRING_FOLDER = Path("/usr/share/keyrings")


@dataclass(frozen=True, slots=True)
class Outside:
    """apt with its folders in `folder`; what counts as installed stands in `status`."""

    job: Job
    folder: Path
    architecture: str

    @property
    def status(self) -> Path:
        """The dpkg status file."""
        return self.folder / "status"

    @property
    def lists(self) -> Path:
        """The folder of package lists."""
        return self.folder / "lists"

    @property
    def index(self) -> Path:
        """apt's index of the lists, once it has read them."""
        return self.folder / package_lists.INDEX

    def run(self, tool: str, *words: str) -> str:
        """Run apt-get or apt-cache; returns what it printed."""
        return self.job.run([tool, *_options(self), *words])

    def pin(self, sources: Sequence[AptSource]) -> None:
        """From now on the priorities of `sources` count."""
        (self.folder / "etc/preferences").write_text(pins(sources))


@contextlib.contextmanager
def outside(
    job: Job, sources: Sequence[AptSource], architecture: str, pin: str
) -> Iterator[Outside]:
    """While inside, apt with the lists of `sources` and nothing installed.

    Lists of repositories elsewhere are fetched once for each `pin`. Raises
    SourceUnreachable, also where they are not there and there is no network.
    """
    apt = Outside(job, job.scratch / "apt", architecture)
    for folder in ("lists/partial", "archives/partial", "etc/preferences.d", "keys"):
        (apt.folder / folder).mkdir(parents=True)
    apt.status.touch()
    used = [s for s in sources if not s.image_only]
    remote = [s for s in used if is_local(s.uri) is None]
    if remote and not package_lists.take(job, remote, pin, apt.lists, apt.index):
        if job.network == "offline":
            raise SourceUnreachable(
                f"without a network there are no package lists of {remote[0].uri}",
                hint="build once without --offline, or with an appliance.lock",
            )
        _update(apt, remote)
        package_lists.keep(job, remote, pin, apt.lists)
    local = [s for s in used if is_local(s.uri) is not None]
    if local:
        _update(apt, local)
    _write_sources(apt, used)
    yield apt
    if remote and not local:
        package_lists.keep_index(job, remote, pin, apt.index)


def _update(apt: Outside, sources: Sequence[AptSource]) -> None:
    """Add the lists of `sources`."""
    _write_sources(apt, sources)
    try:
        apt.run("apt-get", "-oAPT::Get::List-Cleanup=0", "update", "--error-on=any")
    except StageFailed as error:
        raise unreachable(error) from error


def _write_sources(apt: Outside, sources: Sequence[AptSource]) -> None:
    lines = [source_line(apt.job, s, _keys(apt, s)) for s in sources]
    path = apt.folder / "etc/sources.list"
    path.write_text("".join(f"{line}\n" for line in lines))
    # apt believes no index that is older than this; whether it has the same lists it sees itself.
    os.utime(path, (0, 0))


def _keys(apt: Outside, source: AptSource) -> list[str]:
    """Links to the keys that may sign `source`, with names that apt can read.

    They are the description's; for a distribution, and where it has none, also the archive
    keyrings of this host.
    """
    keys = [apt.job.source(key) for key in source.signed_by]
    if not keys or source.uri.startswith(DISTRO):
        keys += sorted(KEYRING_FOLDER.glob("*-archive-keyring.*"))
    links = []
    for key in keys:
        link = apt.folder / "keys" / f"{hashlib.sha256(str(key).encode()).hexdigest()}{key.suffix}"
        if not link.is_symlink():
            link.symlink_to(key)
        links.append(str(link))
    return links


def pins(sources: Sequence[AptSource]) -> str:
    """The sources' priorities as apt's preferences; empty where none has one."""
    return "\n".join(
        f"Package: *\nPin: release n={source.suite}\nPin-Priority: {source.priority}\n"
        for source in sources
        if not source.image_only and source.priority is not None
    )


def _options(apt: Outside) -> list[str]:
    folder = apt.folder
    pairs = {
        "APT::Architecture": apt.architecture,
        "APT::Architectures": apt.architecture,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "APT::Install-Suggests": "false",
        "Acquire::Retries": "2",
        "Acquire::http::Timeout": "30",
        # An index is good for lists in one place, which this is by its name in every step.
        "Dir::State::lists": f"./{apt.lists.relative_to(apt.job.scratch)}",
        "Dir::State::extended_states": folder / "extended_states",
        "Dir::State::status": apt.status,
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc": folder / "etc",
        "Dir::Etc::trustedparts": "/dev/null",
        "Dir::Etc::trusted": "/dev/null",
        # A host may have apt keep less, and each question then costs seconds.
        "Dir::Cache::pkgcache": "pkgcache.bin",
        "Dir::Cache::srcpkgcache": package_lists.INDEX,
        "Acquire::GzipIndexes": "false",
        "Acquire::Languages": "none",
    }
    return [f"-o{name}={value}" for name, value in pairs.items()]
