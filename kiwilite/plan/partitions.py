"""Partitions with symbolic sizes, and the geometry they get once contents are measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from kiwilite.errors import KiwiliteError

MIB = 1 << 20
ALIGNMENT = MIB
"""Partitions start and end on whole MiB: a multiple of every block size in use."""

GPT_ENTRIES = 128 * 128
"""Bytes of a partition entry array: 128 entries of 128 bytes."""

SizeKind = Literal["fixed", "content", "rest"]


@dataclass(frozen=True, slots=True)
class PartitionSize:
    """How large a partition is: `fixed` bytes, as its `content` needs, or the `rest` of the disk.

    `bytes` is the size when fixed, else the least it may be.
    """

    kind: SizeKind
    bytes: int = 0

    def __str__(self) -> str:
        if self.kind == "fixed":
            return human_size(self.bytes)
        return "as its content" if self.kind == "content" else "the rest"


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, in disk order. `where` names the description's line for messages."""

    name: str
    type_guid: UUID
    unique_guid: UUID
    size: PartitionSize
    content: str
    """What is in it, in a few words, for people."""
    mountpoint: str | None
    where: str
    attributes: int = 0
    """The table's attribute bits."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A partition with its place; `start` and `size` in bytes."""

    partition: Partition
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """The disk with all sizes known, in bytes."""

    disk_size: int
    sector_size: int
    placed: tuple[Placed, ...]

    def find(self, name: str) -> Placed:
        """The partition called `name`."""
        return next(p for p in self.placed if p.partition.name == name)


class DoesNotFit(KiwiliteError):
    """Contents and sizes cannot be brought together."""


def round_up(value: int, unit: int) -> int:
    """The next multiple of `unit`, or `value` if it is one."""
    return -(-value // unit) * unit


def human_size(count: int) -> str:
    """Bytes for people: 512 MiB, 1.5 GiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if size == int(size) else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def partition_bytes(size: PartitionSize, content: int) -> int:
    """What a partition of `size` gets for `content` bytes, except where it takes the rest."""
    return round_up(max(content, size.bytes, 1), ALIGNMENT)


def _needed(partition: Partition, measured: Mapping[str, int]) -> int:
    content = measured.get(partition.name, 0)
    if partition.size.kind == "fixed" and content > partition.size.bytes:
        raise DoesNotFit(
            f"partition {partition.name} has {human_size(partition.size.bytes)}, "
            f"its content needs {human_size(content)}",
            where=partition.where,
            hint=f"make it at least {-(-content // MIB)} MiB",
        )
    return partition_bytes(partition.size, content)


def layout(
    partitions: Sequence[Partition],
    measured: Mapping[str, int],
    *,
    disk_size: int | None,
    sector_size: int,
    where: str,
    extra: int = 0,
    unpartitioned: int = 0,
) -> Geometry:
    """Give every partition its place.

    `measured` has the bytes of each content by partition name. Without `disk_size` the
    disk is as large as everything on it and `extra` bytes, which the rest gets. The last
    MiB stays free for the backup GPT, and `unpartitioned` bytes before it. Raises
    DoesNotFit, naming the partition and the line that is too small.
    """
    sizes = [_needed(p, measured) for p in partitions]
    total = ALIGNMENT + sum(sizes) + round_up(unpartitioned, ALIGNMENT) + ALIGNMENT
    rest = next((i for i, p in enumerate(partitions) if p.size.kind == "rest"), None)
    size = total + extra if disk_size is None else disk_size
    size = size // ALIGNMENT * ALIGNMENT
    if total > size:
        raise DoesNotFit(
            f"the disk has {human_size(size)}, its partitions need {human_size(total)}"
            + (
                f" (of which {human_size(sizes[rest])} is the least {partitions[rest].name} may be)"
                if rest is not None
                else ""
            ),
            where=where,
            hint=f"make the disk at least {-(-total // MIB)} MiB",
        )
    if rest is not None:
        sizes[rest] += size - total
    placed = []
    start = ALIGNMENT
    for partition, length in zip(partitions, sizes, strict=True):
        placed.append(Placed(partition, start, length))
        start += length
    return Geometry(size, sector_size, tuple(placed))
