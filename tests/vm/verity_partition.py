"""A verified partition of a test disk, made by the reference tools."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from uuid import UUID

from kiwilite.boot.policy import VerityDevice


def write_verity(
    disk: Path,
    mapping: str,
    partuuid: UUID,
    place: tuple[int, int],
    mountpoint: str,
    source: Path,
    directory: Path,
) -> VerityDevice:
    """A squashfs of `source` with its hash tree behind it, by the reference tools."""
    image = directory / f"{mapping}.img"
    subprocess.run(
        ["mksquashfs", source, image, "-quiet", "-no-progress", "-comp", "zstd", "-all-root"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    size = -(-image.stat().st_size // 4096) * 4096
    os.truncate(image, size)
    shown = subprocess.run(
        ["veritysetup", "format", f"--hash-offset={size}", image, image],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    root_hash = re.search(r"Root hash:\s+(\S+)", shown)
    assert root_hash
    assert image.stat().st_size <= place[1]
    with disk.open("r+b") as file:
        file.seek(place[0])
        file.write(image.read_bytes())
    return VerityDevice(mapping, partuuid, root_hash.group(1), size, mountpoint, "squashfs")
