"""What the other builders have in common: where they are installed, and what they install."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from builds.ours import DESCRIPTION, PROFILE
from kiwilite.description.load import load

PEERS = Path(__file__).resolve().parents[2] / "build" / "peers"


class Uninstallable(Exception):
    """A builder cannot be had or run on this machine; the text says why."""


def install(target: Path, command: Sequence[str | Path]) -> None:
    """Run what puts a builder into `target`; Uninstallable, and nothing there, where it fails."""
    PEERS.mkdir(parents=True, exist_ok=True)
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise Uninstallable(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        shutil.rmtree(target, ignore_errors=True)
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise Uninstallable(f"{command[0]} ended with status {done.returncode}: {'; '.join(last)}")


def wanted_packages() -> tuple[str, ...]:
    """The packages that descriptions/x86 names."""
    appliance, _ = load(DESCRIPTION, (PROFILE,))
    return tuple(p.name for p in (*appliance.packages.bootstrap, *appliance.packages.image))
