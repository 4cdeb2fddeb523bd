"""What a repository on this host has to offer, as far as its packages could change an image."""

from __future__ import annotations

import glob
import hashlib
from pathlib import Path

from kiwilite.build.host import ToolDigests
from kiwilite.build.sources import has_index

INDEX = ("dists/**/*", "Packages*", "*Release")
PACKAGES = ("*.deb",)


def state_of(folder: Path, tools: ToolDigests) -> str:
    """SHA-256 over the index of a repository, or over the packages of a mere folder of them."""
    parts = INDEX if has_index(folder) else PACKAGES
    patterns = [f"{glob.escape(str(folder))[1:]}/{part}" for part in parts]
    states = "".join(tools.files(pattern).digest for pattern in patterns)
    return hashlib.sha256(states.encode()).hexdigest()
