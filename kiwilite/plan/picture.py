"""The plan as people look at it: partition table and device stack in plain characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kiwilite.description.model import Appliance, ImageType, Overlay
from kiwilite.plan.disk import READ_ONLY, READ_WRITE, SQUASHFS, hash_partition, partitions
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
    kind = appliance.type
    rows = hybrid_rows(kind, partitions(appliance))
    shown = ", ".join(
        f"{r.partition} (type {r.type:02x}{', active' if r.active else ''})" for r in rows
    )
    lines = [
        f"sectors     {kind.target_blocksize} bytes",
        f"MBR         {f'hybrid: {shown}' if rows else 'protective'}",
        "boots with  UEFI" + (" and legacy BIOS" if kind.bios else ""),
    ]
    if kind.bios:
        lines.append("            by BIOS without a signature and without measurement")
    return "\n".join(lines)


_ENCRYPTED = ("dm-crypt, authenticated", "dm-integrity")


def device_stack(appliance: Appliance) -> str:
    """What stands on what, from `/` down to the partitions."""
    kind = appliance.type
    lines = [] if kind.overlay is None else _root(kind, kind.overlay)
    for p in kind.partitions:
        if not p.mountpoint:
            continue
        lines.append(f"{p.mountpoint}  {p.filesystem}")
        if p.filesystem == SQUASHFS:
            lines += _chain("", ["dm-verity", _with_hashes(kind, p.name)])
        else:
            lines += _chain("", [*(_ENCRYPTED if p.encrypted else ()), p.name])
    return "\n".join(lines)


def _root(kind: ImageType, overlay: Overlay) -> list[str]:
    """The root, and the overlay over it or over some of its directories."""
    verified = ["dm-verity", _with_hashes(kind, READ_ONLY)]
    if overlay.trees:
        lines = ["/  squashfs, read-only", *_chain("", verified)]
        lines.append(f"{', '.join(overlay.trees)}  overlayfs")
    else:
        lines = ["/  overlayfs"]
    if overlay.write_partition:
        lines.append("├─ upper  " + overlay.filesystem)
        lines += _chain("│  ", [*_ENCRYPTED, READ_WRITE])
    else:
        lines.append("├─ upper  in memory")
    if overlay.trees:
        return [*lines, "└─ lower  the same of /"]
    return [*lines, "└─ lower  squashfs, read-only", *_chain("   ", verified)]


def _with_hashes(kind: ImageType, name: str) -> str:
    """A verified partition, and where its hash tree is, if elsewhere."""
    if kind.overlay is None or kind.overlay.verity.hash_tree == "appended":
        return name
    return f"{name}, hash tree in {hash_partition(name)}"


def _chain(indent: str, parts: Sequence[str]) -> list[str]:
    return [f"{indent}{'   ' * depth}└─ {part}" for depth, part in enumerate(parts)]
