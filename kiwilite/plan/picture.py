"""The plan as people look at it: partition table and device stack in plain characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiwilite.description.model import Appliance
from kiwilite.plan.devices import OVERLAY, Volume, devices
from kiwilite.plan.disk import partitions
from kiwilite.plan.hybrid import hybrid_rows
from kiwilite.plan.partitions import Partition, human_size


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned, the last one as long as it is."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)


def partition_table(in_order: Sequence[Partition], sizes: Mapping[str, int]) -> str:
    """The partitions in disk order; sizes not known yet are shown as what decides them."""
    rows = [("#", "name", "size", "mounted at", "content")]
    for number, p in enumerate(in_order, 1):
        size = human_size(sizes[p.name]) if p.name in sizes else str(p.size)
        rows.append((str(number), p.name, size, p.mountpoint or "-", p.content))
    return table(rows)


def boot_words(appliance: Appliance) -> str:
    """Sectors, partitions in the MBR, and what boots the disk; a line for each."""
    return table(boot_facts(appliance))


def boot_facts(appliance: Appliance) -> list[tuple[str, str]]:
    """The same as (name, words); no name where the words go on from the row before."""
    kind = appliance.type
    rows = hybrid_rows(kind, partitions(appliance))
    shown = ", ".join(
        f"{r.partition} (type {r.type:02x}{', active' if r.active else ''})" for r in rows
    )
    facts = [
        ("sectors", f"{kind.target_blocksize} bytes"),
        ("MBR", f"hybrid: {shown}" if rows else "protective"),
        ("boots with", "UEFI" + (" and legacy BIOS" if kind.bios else "")),
    ]
    if kind.bios:
        facts.append(("", "by BIOS without a signature and without measurement"))
    return facts


def device_stack(appliance: Appliance) -> str:
    """What stands on what, from `/` down to the partitions."""
    found = devices(appliance.type)
    lines = []
    if found.lower is not None and found.upper is not None:
        lines += _root(found.lower, found.upper, found.trees)
    for volume in found.data:
        if volume.mountpoint:
            lines.append(f"{volume.mountpoint}  {volume.filesystem}")
            lines += _chain("", _below(volume))
    return "\n".join(lines)


def _root(lower: Volume, upper: Volume, trees: tuple[str, ...]) -> list[str]:
    """The root, and the overlay over it or over some of its directories."""
    if trees:
        lines = [f"/  {lower.filesystem}, read-only", *_chain("", _below(lower))]
        lines.append(f"{', '.join(trees)}  {OVERLAY}")
    else:
        lines = [f"/  {OVERLAY}"]
    if upper.partition is None:
        lines.append("├─ upper  in memory")
    else:
        lines.append(f"├─ upper  {upper.filesystem}")
        lines += _chain("│  ", _below(upper))
    if trees:
        return [*lines, "└─ lower  the same of /"]
    return [*lines, f"└─ lower  {lower.filesystem}, read-only", *_chain("   ", _below(lower))]


def _below(volume: Volume) -> tuple[str, ...]:
    """What a volume stands on; where its hash tree is, if elsewhere."""
    where = f", hash tree in {volume.hashes}" if volume.hashes else ""
    return (*volume.devices, f"{volume.partition}{where}")


def _chain(indent: str, parts: Sequence[str]) -> list[str]:
    return [f"{indent}{'   ' * depth}└─ {part}" for depth, part in enumerate(parts)]
