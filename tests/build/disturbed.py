"""A store with the packages of the tiny appliance, in which the rest is built again and again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import tiny_appliance
from shared_downloads import COPY, take_downloads
from tiny_appliance import Appliance, run_words

AGAIN = ("large-packages", "packages", "resolve-packages")
"""Steps that are repeated in few cases: they take longer than all later ones together."""
EARLY = ("bootstrap", *AGAIN)
"""Steps whose results are kept from case to case."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The appliance in a store of its own, and what an undisturbed build of it gives.

    `seen` is where this process finds what builds see below `/`.
    """

    appliance: Appliance
    sums: str
    seconds: float
    """How long the steps after `EARLY` took."""
    early_seconds: float
    """How long those of `AGAIN` took."""
    seen: Path = Path("/")

    @property
    def store(self) -> Path:
        """The store, as this process finds it."""
        return self.seen / self.appliance.store.relative_to("/")

    @property
    def target(self) -> Path:
        """The target folder, as this process finds it."""
        return self.seen / self.appliance.target.relative_to("/")

    def forget(self, *, also: Sequence[str] = ()) -> None:
        """Remove all results but those of early steps, and of early ones those named."""
        for entry in (self.store / "entries").iterdir():
            step = json.loads((entry / "about.json").read_text())["step"]
            if step not in EARLY or step in also:
                shutil.rmtree(entry)
        shutil.rmtree(self.target, ignore_errors=True)

    def demand_same_bytes(self) -> None:
        """The target has what the undisturbed build gave, and nothing else."""
        assert (self.target / "SHA256SUMS").read_text() == self.sums
        run_words("sh", "-c", 'cd "$1" && sha256sum --quiet -c SHA256SUMS', "sh", self.target)
        names = {line.split()[1] for line in self.sums.splitlines()}
        found = {path.name for path in self.target.iterdir()}
        assert found == names | {"SHA256SUMS", "kiwilite.result.json"}
        assert list((self.store / "work").iterdir()) == []


def prepare(base: Path) -> Ground:
    """Build the appliance in the shared store, then once more below `base` with its packages."""
    shared = tiny_appliance.make(base / "shared")
    said = shared.build()
    assert said.status == 0, said.err
    store = base / "store"
    take_downloads(shared.store, store)
    (store / "entries").mkdir()
    for key in (row["key"] for row in plan(shared)["steps"] if row["name"] in EARLY):
        run_words(*COPY, shared.store / "entries" / key, store / "entries" / key)
    appliance = Appliance(shared.folder, base / "out", store)
    said = appliance.build()
    assert said.status == 0, said.err
    sums = (appliance.target / "SHA256SUMS").read_text()
    took = [json.loads(path.read_text()) for path in store.glob("entries/*/about.json")]
    early_seconds = sum(about["seconds"] for about in took if about["step"] in AGAIN)
    ground = Ground(appliance, sums, 0, early_seconds)
    ground.forget()
    begun = time.monotonic()
    said = appliance.build()
    assert said.status == 0, said.err
    return replace(ground, seconds=time.monotonic() - begun)


def plan(appliance: Appliance) -> dict[str, list[dict[str, str]]]:
    """What `kiwilite system plan` says of the appliance."""
    words = [word for word in appliance.command() if word != "build"]
    words = words[: words.index("--target-dir")]
    words[words.index("system") + 1 : words.index("system") + 1] = ["plan", "--format", "json"]
    done = subprocess.run(
        words, env=appliance.environment(), capture_output=True, text=True, check=True
    )
    found: dict[str, list[dict[str, str]]] = json.loads(done.stdout)
    return found


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A tmpfs that only one mount namespace has."""

    pid: int
    """A process in the namespace."""
    place: Path

    @property
    def seen(self) -> Path:
        """The namespace's `/`."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def inside(self) -> tuple[str, ...]:
        """What a command has before it to run there."""
        return ("nsenter", f"--target={self.pid}", "--mount", "--")

    def used(self) -> int:
        """Bytes in use."""
        status = os.statvfs(self.seen / self.place.relative_to("/"))
        return (status.f_blocks - status.f_bfree) * status.f_frsize

    def resize(self, size: int) -> None:
        """Give it `size` bytes in all."""
        run_words(*self.inside, "mount", "-o", f"remount,size={size}", self.place)


LARGE = 4 << 30


@contextmanager
def small_disk(place: Path) -> Iterator[SmallDisk]:
    """A tmpfs on the folder `place`, as large as a build needs, until it is resized."""
    place.mkdir()
    script = 'mount -t tmpfs -o "size=$1" none "$2" && echo mounted && exec cat'
    child = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script, "sh", str(LARGE), str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "mounted\n"
        yield SmallDisk(child.pid, place)
    finally:
        child.communicate("")
