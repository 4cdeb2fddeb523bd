"""What every fresh tree needs, whatever it was made from."""

from __future__ import annotations

from pathlib import Path


def forget_host(tree: Path) -> None:
    """Remove what tools copy from the build host into a fresh tree."""
    for name in ("etc/hostname", "etc/resolv.conf"):
        (tree / name).unlink(missing_ok=True)
    for path in [tree / "etc/apt/sources.list", *(tree / "etc/apt/sources.list.d").glob("*")]:
        path.unlink(missing_ok=True)
