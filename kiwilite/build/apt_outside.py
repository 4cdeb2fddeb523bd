"""apt without a tree: package lists of a description's sources, and a dpkg status of one's own.

Nothing of the host's installed packages counts. For questions; `apt` installs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.apt import pins
from kiwilite.build.job import Job
from kiwilite.build.sources import source_line, unreachable
from kiwilite.build.stages.bootstrap import keyrings
from kiwilite.errors import StageFailed
from kiwilite.plan.tree_steps import AptSource


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

    def run(self, tool: str, *words: str) -> str:
        """Run apt-get or apt-cache; returns what it printed."""
        return self.job.run([tool, *_options(self), *words])

    def pin(self, sources: Sequence[AptSource]) -> None:
        """From now on the priorities of `sources` count."""
        (self.folder / "etc/preferences").write_text(pins(sources))


def updated(job: Job, sources: Sequence[AptSource], architecture: str) -> Outside:
    """apt with the lists of `sources` and nothing installed. Raises SourceUnreachable."""
    outside = Outside(job, job.scratch / "apt", architecture)
    for folder in ("lists/partial", "archives/partial", "etc/preferences.d", "trusted"):
        (outside.folder / folder).mkdir(parents=True)
    for number, key in enumerate(keyrings(tuple(sources), job)):
        (outside.folder / f"trusted/{number}{key.suffix}").symlink_to(key)
    lines = [source_line(job, s) for s in sources if not s.image_only]
    (outside.folder / "etc/sources.list").write_text("".join(f"{line}\n" for line in lines))
    outside.status.touch()
    try:
        outside.run("apt-get", "update", "--error-on=any")
    except StageFailed as error:
        raise unreachable(error) from error
    return outside


def _options(outside: Outside) -> list[str]:
    folder = outside.folder
    pairs = {
        "APT::Architecture": outside.architecture,
        "APT::Architectures": outside.architecture,
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "APT::Install-Suggests": "false",
        "Dir::State::lists": folder / "lists",
        "Dir::State::extended_states": folder / "extended_states",
        "Dir::State::status": outside.status,
        "Dir::Cache": folder,
        "Dir::Cache::archives": folder / "archives",
        "Dir::Etc": folder / "etc",
        "Dir::Etc::trustedparts": folder / "trusted",
        "Acquire::Languages": "none",
    }
    return [f"-o{name}={value}" for name, value in pairs.items()]
