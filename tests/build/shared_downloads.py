"""What a store of its own takes from one in which other tests build meanwhile."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tiny_appliance import run_words

COPY = ("cp", "-a", "--reflink=auto")
LISTS = "packages/lists"


def take_downloads(other: Path, root: Path) -> None:
    """Copy downloads and selections, and no results.

    Not what is on its way in `packages/work`, which may be gone before it is copied. So may
    be lists that another test has renewed: a build then fetches them.
    """
    (root / "packages").mkdir(parents=True)
    for name in ("pins", "packages/debian", "packages/plain", "tools.json"):
        run_words(*COPY, other / name, root / name)
    subprocess.run([*COPY, other / LISTS, root / LISTS], check=False, capture_output=True)
