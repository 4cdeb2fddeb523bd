"""The whole disk: contents at their places, GPT and MBR around them."""

from __future__ import annotations

import concurrent.futures as cf
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from kiwilite.boot.mark import provisioning_mark
from kiwilite.build import sealed
from kiwilite.build.geometry import (
    BLOCK,
    content_bytes,
    content_files,
    read_geometry,
    tail_files,
    write_geometry,
)
from kiwilite.build.job import Job
from kiwilite.description.partition_names import LEGACY
from kiwilite.errors import StageFailed
from kiwilite.ondisk import gpt, grub, mbr, seal
from kiwilite.ondisk.sparse import any_set, block_ranges, copy_sparse, data_blocks
from kiwilite.plan.image_steps import Disk, HybridRow
from kiwilite.plan.partitions import Geometry, round_up

_AT_ONCE: Final = 64
"""Parts of the seal that one thread sums before it takes the next."""


def run(step: Disk, job: Job) -> None:
    """Fill `disk.raw`, `geometry.json` and `sealed`."""
    geometry = read_geometry(job.read(step.layout), step.partitions)
    files = content_files(step.contents, job)
    tails = tail_files(step.tails, job)
    for name, paths in files.items():
        if content_bytes(paths, name in tails) > geometry.find(name).size:
            raise StageFailed(f"the layout has too little room for {name}")
    disk = job.out / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(geometry.disk_size)
        for name, paths in files.items():
            position = geometry.find(name).start
            for path in paths:
                copy_sparse(path, stream, position)
                position = round_up(position + path.stat().st_size, BLOCK)
        for name, path in tails.items():
            place = geometry.find(name)
            write_at(stream, place.start + place.size - BLOCK, path.read_bytes())
        for name, volume_id in step.marks:
            write_at(stream, geometry.find(name).start, provisioning_mark(volume_id))
        boot_code = _install_grub(stream, job.read(step.bios), geometry) if step.bios else b""
        _write_tables(stream, step, geometry, boot_code)
    write_seal(disk, step, geometry, job)
    check_with_another_reader(disk, geometry, job)
    write_geometry(geometry, job.out)


def write_at(stream: BinaryIO, offset: int, data: bytes) -> None:
    """Write `data` at `offset` bytes."""
    stream.seek(offset)
    stream.write(data)


def _install_grub(stream: BinaryIO, folder: Path, geometry: Geometry) -> bytes:
    """Write GRUB's core image into p.legacy; returns the boot code that finds it there."""
    place = geometry.find(LEGACY)
    try:
        installed = grub.install(
            (folder / "boot.img").read_bytes(),
            (folder / "core.img").read_bytes(),
            core_lba=place.start // grub.SECTOR,
            room=place.size,
        )
    except grub.BadGrub as error:
        raise StageFailed(str(error)) from error
    write_at(stream, place.start, installed.core)
    return installed.boot_code


def _write_tables(stream: BinaryIO, step: Disk, geometry: Geometry, boot_code: bytes) -> None:
    sector = step.sector_size
    sectors = geometry.disk_size // sector
    table = gpt.Gpt(
        disk_guid=step.disk_guid,
        partitions=tuple(
            gpt.GptPartition(
                type_guid=p.partition.type_guid,
                unique_guid=p.partition.unique_guid,
                first_lba=p.start // sector,
                last_lba=(p.start + p.size) // sector - 1,
                attributes=p.partition.attributes,
                name=p.partition.name,
            )
            for p in geometry.placed
        ),
        disk_sectors=sectors,
        sector_size=cast(gpt.SectorSize, sector),
    )
    areas = gpt.write(table)
    write_at(stream, areas.primary_offset, areas.primary)
    write_at(stream, areas.backup_offset, areas.backup)
    if step.hybrid:
        record = mbr.hybrid(
            [_shown(row, geometry) for row in step.hybrid],
            disk_signature=step.disk_guid.fields[0],
            boot_code=boot_code,
        )
    else:
        record = mbr.protective(sectors, boot_code=boot_code)
    write_at(stream, 0, record.pack())


def _shown(row: HybridRow, geometry: Geometry) -> mbr.MbrEntry:
    """The MBR's entry for a partition; an MBR counts in the disk's own sectors too."""
    place, sector = geometry.find(row.partition), geometry.sector_size
    boot = mbr.BootIndicator.ACTIVE if row.active else mbr.BootIndicator.INACTIVE
    return mbr.MbrEntry(row.type, place.start // sector, place.size // sector, boot)


def write_seal(disk: Path, step: Disk, geometry: Geometry, job: Job) -> None:
    """Digests of all that the table does not cover, for who checks the finished disk.

    Partitions with a provisioning mark are left out: their first boot makes them anew. What an
    earlier disk had in the same way is not read once more.
    """
    marked = {name for name, _ in step.marks}
    starts = {p.partition.name: p.start for p in geometry.placed if p.partition.name not in marked}
    filled = _filled(step, geometry, job)
    known = sealed.known(job.earlier, filled)
    regions = [*seal.BOOT_RECORD, *((n, at, geometry.find(n).size) for n, at in starts.items())]
    names = {at: name for name, at in starts.items()}
    with disk.open("r+b") as stream, cf.ThreadPoolExecutor(os.cpu_count()) as pool:
        fd = stream.fileno()

        def used(start: int, end: int) -> Iterator[tuple[int, bytes]]:
            if (before := known.get(names.get(start, ""))) is None:
                return _glances(fd, start, end)
            return ((start + at, b"x") for at in before.used)

        def part(name: str, start: int, end: int) -> seal.Part:
            before = known[name].digests if name in known else {}
            digest = before.get((start - starts.get(name, start), end - start))
            return seal.Part(name, start, end - start, digest or _digest(fd, start, end))

        spans = seal.cut(regions, used)
        some = (spans[i : i + _AT_ONCE] for i in range(0, len(spans), _AT_ONCE))
        rows = pool.map(lambda row: [part(*span) for span in row], some)
        parts = [part for row in rows for part in row]
        write_at(stream, seal.OFFSET, seal.pack(parts))
    sealed.write(job.out, filled, starts, parts)


def _filled(step: Disk, geometry: Geometry, job: Job) -> dict[str, sealed.Filled]:
    """The partitions with contents, by name, as far as what is in them can be told."""
    tails = {name: (output,) for name, output in step.tails}
    found = {}
    for name, outputs in step.contents:
        contents = sealed.identity(job.read(o) for o in (*outputs, *tails.get(name, ())))
        if contents is not None:
            found[name] = sealed.Filled(contents, geometry.find(name).size)
    return found


def _glances(fd: int, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Of each block with data the beginning, and where that is zeros, all of it."""
    for at, size in block_ranges(fd, start, end, seal.BLOCK):
        head = os.pread(fd, min(size, BLOCK), at)
        yield at, head if any_set(head) else os.pread(fd, size, at)


def _digest(fd: int, start: int, end: int) -> bytes:
    return seal.digest(start, end, lambda a, b: data_blocks(fd, a, b, seal.BLOCK))


def check_with_another_reader(disk: Path, geometry: Geometry, job: Job) -> None:
    """Read the table back with a program that wrote none of it, and compare the geometry.

    libparted takes every file for a disk with sectors of 512 bytes, so partx (libblkid)
    is asked where they have 4096.
    """
    found = _seen_by_parted(disk) if geometry.sector_size == 512 else _seen_by_partx(disk, job)
    wanted = {p.partition.name: (p.start, p.size) for p in geometry.placed}
    if found != wanted:
        raise StageFailed(f"another program reads another geometry than was written: {found}")


def _seen_by_parted(disk: Path) -> dict[str, tuple[int, int]]:
    """Name → start and size in bytes."""
    import parted

    device = parted.getDevice(str(disk))
    sector = device.sectorSize
    return {
        p.name: (p.geometry.start * sector, p.geometry.length * sector)
        for p in parted.newDisk(device).partitions
    }


def _seen_by_partx(disk: Path, job: Job) -> dict[str, tuple[int, int]]:
    """Name → start and size in bytes; partx gives LBAs in units of 512, whatever the sectors."""
    columns = ["--noheadings", "--output", "START,SECTORS,NAME"]
    said = job.run(["partx", "--show", "--sector-size", "4096", *columns, disk])
    rows = (line.split(None, 2) for line in said.splitlines())
    return {name: (int(start) * 512, int(count) * 512) for start, count, name in rows}
