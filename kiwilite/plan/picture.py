"""The plan as people look at it: partition table and device stack in plain characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiwilite.description.model import Appliance
from kiwilite.plan.disk import READ_ONLY, READ_WRITE, SQUASHFS
from kiwilite.plan.partitions import Partition, human_size


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the last one as long as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def partition_table(partitions: Sequence[Partition], sizes: Mapping[str, int]) -> str:
    """The partitions in disk order; sizes not known yet are shown as what decides them."""
    rows = [("#", "name", "size", "mounted at", "content")]
    for number, p in enumerate(partitions, 1):
        size = human_size(sizes[p.name]) if p.name in sizes else str(p.size)
        rows.append((str(number), p.name, size, p.mountpoint or "-", p.content))
    return table(rows)


def device_stack(appliance: Appliance) -> str:
    """What stands on what, from `/` down to the partitions."""
    overlay = appliance.type.overlay
    lines = []
    if overlay is not None:
        lines.append("/  overlayfs")
        if overlay.write_partition:
            lines.append("├─ upper  " + overlay.filesystem)
            lines += _chain("│  ", ["dm-crypt, authenticated", "dm-integrity", READ_WRITE])
        else:
            lines.append("├─ upper  in memory")
        lines.append("└─ lower  squashfs, read-only")
        lines += _chain("   ", ["dm-verity", READ_ONLY])
    for p in appliance.type.partitions:
        if not p.mountpoint:
            continue
        lines.append(f"{p.mountpoint}  {p.filesystem}")
        lines += _chain("", (["dm-verity"] if p.filesystem == SQUASHFS else []) + [p.name])
    return "\n".join(lines)


def _chain(indent: str, parts: Sequence[str]) -> list[str]:
    return [f"{indent}{'   ' * depth}└─ {part}" for depth, part in enumerate(parts)]
