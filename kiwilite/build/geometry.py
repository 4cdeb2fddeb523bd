"""The disk's geometry between the step that lays it out and those that fill it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.errors import StageFailed
from kiwilite.plan.partitions import Geometry, Partition, Placed, round_up
from kiwilite.plan.references import Output

BLOCK = 4096
TAIL_FILE = "metadata"
"""Name of the file of one block that ends a partition."""

FILE = "geometry.json"
CONTENT_FILES = ("image", "hashes", "fec")
"""Names of files that go into a partition, in this order."""

Contents = Sequence[tuple[str, tuple[Output, ...]]]


def content_files(contents: Contents, job: Job) -> dict[str, list[Path]]:
    """Partition name → the files written into it, one behind the other, 4096-aligned."""
    return {
        name: [path for o in outputs for path in _files_of(job.read(o))]
        for name, outputs in contents
    }


def _files_of(folder: Path) -> list[Path]:
    return [folder / name for name in CONTENT_FILES if (folder / name).exists()]


def content_bytes(files: Sequence[Path], tails: int = 0) -> int:
    """Bytes the files take in a partition, and so many blocks at its end."""
    return sum(round_up(p.stat().st_size, BLOCK) for p in files) + tails * BLOCK


def tail_files(tails: Sequence[tuple[str, Output]], job: Job) -> dict[str, Path]:
    """Partition name → the file that is its last block."""
    return {name: job.read(output) / TAIL_FILE for name, output in tails}


def write_geometry(geometry: Geometry, folder: Path) -> None:
    """Write `geometry.json` into `folder`; sizes and places in bytes."""
    (folder / FILE).write_text(json.dumps(_described(geometry), indent=1))


def read_geometry(folder: Path, partitions: Sequence[Partition]) -> Geometry:
    """The geometry that was written into `folder` for these partitions."""
    data = json.loads((folder / FILE).read_text())
    rows = {row["name"]: row for row in data["partitions"]}
    if [*rows] != [p.name for p in partitions]:
        raise StageFailed("the layout was made for other partitions")
    placed = (Placed(p, rows[p.name]["start"], rows[p.name]["size"]) for p in partitions)
    return Geometry(data["size"], data["sector_size"], tuple(placed))


def _described(geometry: Geometry) -> dict[str, object]:
    return {
        "size": geometry.disk_size,
        "sector_size": geometry.sector_size,
        "partitions": [
            {
                "name": p.partition.name,
                "start": p.start,
                "size": p.size,
                "type": str(p.partition.type_guid),
                "partuuid": str(p.partition.unique_guid),
                "content": p.partition.content,
                "mountpoint": p.partition.mountpoint,
            }
            for p in geometry.placed
        ],
    }


def partition_size(folder: Path, name: str) -> int:
    """Bytes of the partition `name` in the geometry that was written into `folder`."""
    rows = json.loads((folder / FILE).read_text())["partitions"]
    return int(next(row["size"] for row in rows if row["name"] == name))
