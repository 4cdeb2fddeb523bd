"""Looks into a built image from the outside, with other tools than those that made it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path


def partition(raw: Path, name: str) -> tuple[int, int]:
    """Start and size in bytes of a partition, as sfdisk reads the table."""
    done = subprocess.run(["sfdisk", "-J", str(raw)], capture_output=True, text=True, check=True)
    table = json.loads(done.stdout)["partitiontable"]
    sector = int(table.get("sectorsize", 512))
    row = next(p for p in table["partitions"] if p.get("name") == name)
    return int(row["start"]) * sector, int(row["size"]) * sector


def cut_out(raw: Path, name: str, target: Path) -> Path:
    """A partition as a file of its own."""
    start, size = partition(raw, name)
    with raw.open("rb") as source, target.open("wb") as out:
        source.seek(start)
        while size > 0:
            chunk = source.read(min(size, 1 << 20))
            out.write(chunk)
            size -= len(chunk)
    return target


def squashfs_listing(raw: Path, name: str) -> dict[str, str]:
    """Path → mode, owner and size, as unsquashfs lists them."""
    start, _ = partition(raw, name)
    done = subprocess.run(
        ["unsquashfs", "-o", str(start), "-lln", str(raw)],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split(None, 5) for line in done.stdout.splitlines() if "squashfs-root" in line]
    return {
        row[5].split(" -> ")[0].removeprefix("squashfs-root") or "/": " ".join(row[:3])
        for row in rows
    }


def squashfs_file(raw: Path, name: str, path: str) -> bytes:
    """Content of one file of a squashfs partition."""
    start, _ = partition(raw, name)
    done = subprocess.run(
        ["unsquashfs", "-o", str(start), "-cat", str(raw), path.lstrip("/")],
        capture_output=True,
        check=True,
    )
    return done.stdout


def debugfs(image: Path, command: str) -> str:
    """What debugfs says about an ext4 image."""
    done = subprocess.run(
        ["debugfs", "-R", command, str(image)], capture_output=True, text=True, check=True
    )
    return done.stdout
