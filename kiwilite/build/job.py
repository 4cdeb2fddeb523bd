"""What a stage is given, whether it runs on the host or in the namespace."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kiwilite.build import syscalls as sc
from kiwilite.build.network import Network
from kiwilite.build.tools_view import enter_view
from kiwilite.errors import NoSpace, StageFailed
from kiwilite.plan.references import Output, Source

DISK_FULL = "No space left on device"
OUT_OF_SPACE = (DISK_FULL, "You don't have enough free space", "Disk quota exceeded")
"""How tools say that the disk is full; the second is apt's way."""

BASE_ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
}
"""All that tools and scripts see of an environment, on every host the same."""

STORE = Path("/store")
"""Where a step in the namespace sees the whole store once more, if it is to link."""


@dataclass(frozen=True, slots=True)
class Job:
    """Results to read, files of the description to read, and the folder to fill.

    `cache` is a folder shared by all builds for downloads; `mirrors` maps distribution
    names to URLs as this host has them, `snapshots` does for those that keep the past.
    `earlier` are folders of earlier results that may spare work, the newest first; they are
    not part of the key, so the result must be the same without them, and any of them may be
    damaged or gone. `tools` is the tree that tools are run from; None: they are the host's.
    `store` is the folder of the store where that stands at STORE as well.
    """

    title: str
    out: Path
    scratch: Path
    log: Path
    outputs: Mapping[str, Path]
    sources: Mapping[str, Path]
    cache: Path
    mirrors: Mapping[str, str]
    earlier: tuple[Path, ...] = ()
    snapshots: Mapping[str, str] = field(default_factory=dict)
    network: Network = "online"
    tools: Path | None = None
    store: Path | None = None

    @property
    def on_host(self) -> Job:
        """The same job with the host's tools, which have the host's way to the network."""
        return replace(self, tools=None)

    def tool_file(self, pattern: str) -> Path | None:
        """Where tools find a file that fits `pattern`, a glob below `/`; None: nowhere."""
        root = self.tools or Path("/")
        found = next(iter(sorted(root.glob(pattern))), None)
        return Path("/") / found.relative_to(root) if found else None

    def read(self, output: Output) -> Path:
        """Folder of another step's result."""
        return self.outputs[output.step]

    def linkable(self, path: Path) -> Path:
        """Another way to what stands at `path`, the same for results and for what this step makes.

        Hard links are made within one mount only, and each result is one of its own here.
        """
        return STORE / path.relative_to(self.store) if self.store is not None else path

    def source(self, source: Source) -> Path:
        """Where a file of the description stands for this job."""
        return self.sources[str(source.path)]

    def run(
        self,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        stdin: str | None = None,
    ) -> str:
        """The one door to processes of stages: run a tool, note and return what it printed.

        The environment is the same on every host. Raises StageFailed with the tool's last
        words, NoSpace where it ran out of disk.
        """
        words = [str(word) for word in command]
        done = subprocess.run(
            words,
            env={**BASE_ENVIRONMENT, **(environment or {})},
            input=stdin if stdin is not None else "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=self.scratch,
            check=False,
            preexec_fn=self._prepare,
        )
        self.note(f"+ {' '.join(words)}\n{done.stdout}")
        if done.returncode != 0:
            raise failure(words[0], done.returncode, done.stdout)
        return done.stdout

    def _prepare(self) -> None:
        """In the new process, before it becomes the tool."""
        if self.tools is not None:
            enter_view(self.tools, self.scratch)
        # A tool must not outlive the step that was ended.
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)

    def note(self, text: str) -> None:
        """Add to the step's log."""
        with self.log.open("a") as stream:
            stream.write(text)


def failure(tool: str, status: int, output: str) -> StageFailed | NoSpace:
    """The error for a tool that ended with `status` after printing `output`."""
    if any(words in output for words in OUT_OF_SPACE):
        return NoSpace(
            f"{Path(tool).name} ran out of disk space",
            hint="make room where the store is, then build again: finished steps are kept",
        )
    lines = [line for line in output.strip().splitlines() if line.strip()]
    tail = "\n".join(f"    {line}" for line in lines[-12:])
    return StageFailed(f"{Path(tool).name} ended with status {status}:\n{tail}")
