"""The one door of `inspect` to other programs: file systems' own tools, unpackers."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from kiwilite.errors import HostError

_TOOL_PATH: Final = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_PACKAGES: Final = {
    "e2fsck": "e2fsprogs", "debugfs": "e2fsprogs", "xfs_repair": "xfsprogs",
    "xfs_db": "xfsprogs", "unsquashfs": "squashfs-tools", "zstd": "zstd",
}  # fmt: skip


def find(name: str) -> str:
    """Where a program is. Raises HostError where it is not installed."""
    tool = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_TOOL_PATH}")
    if tool is None:
        raise HostError(f"{name} is not installed", hint=f"apt-get install {_PACKAGES[name]}")
    return tool


def run(*command: str | Path) -> tuple[int, str]:
    """Exit status, and all that the tool said. Raises HostError where it is not installed."""
    done = subprocess.run(
        [find(str(command[0])), *command[1:]],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=_environment(),
    )
    return done.returncode, done.stdout + done.stderr


@contextmanager
def streamed(*command: str | Path) -> Iterator[IO[bytes]]:
    """What a tool writes, read as it comes; the tool ends with the block.

    Raises HostError where it is not installed.
    """
    child = subprocess.Popen(
        [find(str(command[0])), *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(),
    )
    assert child.stdout is not None
    try:
        yield child.stdout
    finally:
        child.kill()
        child.stdout.close()
        child.wait()


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}
