"""A small appliance to break, and the real command line to build it with.

Its bootstrap packages and sources are those of descriptions/x86, so that a store that has
one minimal tree has the other's too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import kiwilite

PACKAGE = Path(kiwilite.__file__).resolve().parent
FILE = "appliance.kiwi"
INTERRUPTIBLE = ("env", "--default-signal=INT")
"""What a shell runs in the background ignores SIGINT: these tests, and what they start."""

DESCRIPTION = """\
<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="8.5" name="tiny">
    <description type="system">
        <author>The kiwilite developers</author>
        <contact>root@localhost</contact>
        <specification>As small as an image can be</specification>
    </description>
    <profiles>
        <profile name="small" description="the usual one" import="true"/>
        <profile name="smaller" description="another one"/>
    </profiles>
    <preferences source_date_epoch="1754697600">
        <version>1.0.0</version>
        <packagemanager>apt</packagemanager>
        <type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true"
              overlayroot_write_partition="false"
              squashfscompression="zstd" squashfscompression_level="1"
              verity_blocks="all" kernelcmdline="console=ttyS0">
            <bootloader name="systemd_boot" timeout="0"/>
        </type>
    </preferences>
    <users>
        <user name="root" groups="root" home="/root" password="*"/>
    </users>
    <repository type="apt-deb" alias="debian" distribution="trixie" components="main">
        <source path="distro:debian"/>
    </repository>
    <repository type="apt-deb" alias="debian-security" distribution="trixie-security"
                components="main">
        <source path="distro:debian-security"/>
    </repository>
    <packages type="bootstrap">
        <package name="ca-certificates"/>
        <package name="passwd"/>
    </packages>
    <packages type="image">
        <package name="linux-image-cloud-amd64"/>
        <package name="systemd-boot-efi"/>
        <package name="busybox-static"/>
        <package name="cryptsetup-bin"/>
        <package name="kmod"/>
        <package name="xfsprogs"/>
    </packages>
</image>
"""


def store_folder() -> Path:
    """The store that these tests share, so that packages are installed once."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "kiwilite" / "test-store"


@dataclass(frozen=True, slots=True)
class Said:
    """How a run of kiwilite ended."""

    status: int
    out: str
    err: str

    def complaint(self) -> str:
        """The one error message, or all mistakes of the description.

        Fails where there is none, both, several of the first, or a traceback.
        """
        assert "Traceback" not in self.err, self.err
        lines = self.err.splitlines()
        mistakes = [line for line in lines if line.startswith("error[")]
        heads = mistakes or [line for line in lines if line.startswith("error: ")]
        assert len(heads) == 1 or mistakes, self.err
        assert not mistakes or "\nerror: " not in self.err, self.err
        return self.err[self.err.index(heads[0]) :]


@dataclass(frozen=True, slots=True)
class Appliance:
    """A description in a folder of its own, and where its results go."""

    folder: Path
    target: Path
    store: Path

    @property
    def file(self) -> Path:
        """The description."""
        return self.folder / FILE

    def change(self, old: str, new: str) -> int:
        """Replace `old`, which must be there, and tell the line that now has `new`."""
        text = self.file.read_text()
        assert text.count(old) >= 1, old
        self.file.write_text(text.replace(old, new, 1))
        return text[: text.index(old)].count("\n") + 1

    def script(self, name: str, text: str) -> Path:
        """Put a script of KIWI's beside the description."""
        path = self.folder / f"{name}.sh"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return path

    def command(self, *words: str) -> list[str]:
        """`kiwilite system build` of this appliance."""
        return [
            *(sys.executable, "-m", "kiwilite", "system", "build"),
            *("--description", str(self.folder), "--target-dir", str(self.target), *words),
        ]

    def environment(self) -> dict[str, str]:
        """What the command runs with."""
        return {**os.environ, "KIWILITE_STORE": str(self.store), "PYTHONPATH": str(PACKAGE.parent)}

    def start(
        self,
        *words: str,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[str]:
        """Begin a build in a session of its own; `before` has to end in an exec of it."""
        return subprocess.Popen(
            [*INTERRUPTIBLE, *before, *self.command(*words)],
            env={**self.environment(), **(environment or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def build(
        self,
        *words: str,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Said:
        """Build, and see that nothing half-written stays in the store."""
        child = self.start(*words, before=before, environment=environment)
        out, err = child.communicate(timeout=900)
        assert not self.in_the_making(child.pid)
        return Said(child.returncode, out, err)

    def results(self) -> list[str]:
        """Names of all that stands in the target folder, hidden files too."""
        return sorted(p.name for p in self.target.iterdir()) if self.target.exists() else []

    def in_the_making(self, pid: int) -> list[str]:
        """Names of the work folders that the build with this process id has in the store."""
        return sorted(p.name for p in (self.store / "work").glob(f"*.{pid}.*"))


def make(base: Path, store: Path | None = None) -> Appliance:
    """The sound appliance below `base`."""
    folder = base / "description"
    folder.mkdir(parents=True)
    (folder / FILE).write_text(DESCRIPTION)
    return Appliance(folder, base / "out", store or store_folder())


def run_words(*words: str | Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a tool that has to work; what it printed."""
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def has(tool: str) -> bool:
    """Whether the host has a tool."""
    return shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is not None
