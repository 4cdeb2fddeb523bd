"""A small disk with a table, a mark and an ext4, made without a build."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from kiwilite.ondisk import gpt, mbr, seal

MIB = 1 << 20
NAMES = ("p.legacy", "home", "p.lxroot")
VOLUME = UUID(int=77)


def mark() -> bytes:
    """64 KiB of the provisioning mark."""
    line = (b"KIWILITE PROVISION " + str(VOLUME).encode()).ljust(511) + b"\n"
    return line * 128


def make(
    path: Path, *, size: int = 400 * MIB, sector: gpt.SectorSize = 512, hybrid: bool = True,
    last: bytes | None = None,
) -> Path:  # fmt: skip
    """Three partitions: zeros (1 MiB), ext4 (8 MiB), and up to the last MiB the mark."""
    ranges = [(1, 2), (2, 10), (10, size // MIB - 1)]
    partitions = tuple(
        gpt.GptPartition(
            gpt.LINUX_FILESYSTEM, UUID(int=n + 1), a * MIB // sector, b * MIB // sector - 1, 0, name
        )
        for n, (name, (a, b)) in enumerate(zip(NAMES, ranges, strict=True))
    )
    table = gpt.Gpt(UUID(int=99), partitions, size // sector, sector)
    areas = gpt.write(table)
    record = mbr.protective(table.disk_sectors)
    if hybrid:
        shown = [mbr.MbrEntry(0x83, p.first_lba, p.sectors) for p in partitions[1:]]
        record = mbr.hybrid(shown)
    with path.open("wb") as out:
        out.truncate(size)
        put(out, 0, record.pack())
        put(out, areas.primary_offset, areas.primary)
        put(out, areas.backup_offset, areas.backup)
        put(out, 10 * MIB, mark() if last is None else last)
    command = ["mke2fs", "-q", "-F", "-t", "ext4", "-E", f"offset={2 * MIB}"]
    subprocess.run([*command, str(path), "8M"], check=True, capture_output=True)
    with path.open("r+b") as out:
        regions = [*seal.BOOT_RECORD, ("p.legacy", MIB, MIB), ("home", 2 * MIB, 8 * MIB)]
        put(out, seal.OFFSET, seal.pack(seal.seal(regions, blocks_of(out))))
    return path


def put(out: BinaryIO, offset: int, data: bytes) -> None:
    """Write at an offset."""
    out.seek(offset)
    out.write(data)


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Flip one bit of a file."""
    with path.open("r+b") as disk:
        disk.seek(offset)
        (byte,) = disk.read(1)
        put(disk, offset, bytes([byte ^ 1 << bit]))


def blocks_of(stream: BinaryIO) -> seal.Blocks:
    """All blocks, read from a file."""

    def blocks(start: int, end: int) -> Iterator[tuple[int, bytes]]:
        for at in range(start, end, seal.BLOCK):
            stream.seek(at)
            yield at, stream.read(min(seal.BLOCK, end - at))

    return blocks
