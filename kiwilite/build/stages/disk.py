"""The whole disk: contents at their places, GPT and MBR around them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import BinaryIO, Literal, cast

from kiwilite.boot.mark import provisioning_mark
from kiwilite.build.job import Job
from kiwilite.errors import StageFailed
from kiwilite.ondisk import gpt, mbr
from kiwilite.ondisk.sparse import copy_sparse
from kiwilite.plan.disk import TYPE_ESP
from kiwilite.plan.image_steps import Disk
from kiwilite.plan.partitions import Geometry, layout, round_up

BLOCK = 4096
MBR_ESP, MBR_LINUX = 0xEF, 0x83


def run(step: Disk, job: Job) -> None:
    """Fill `disk.raw` and `geometry.json`."""
    files = {
        name: [path for o in outputs for path in _files_of(job.read(o))]
        for name, outputs in step.contents
    }
    measured = {
        name: sum(round_up(p.stat().st_size, BLOCK) for p in paths) for name, paths in files.items()
    }
    geometry = layout(
        step.partitions,
        measured,
        disk_size=step.size,
        extra=step.extra,
        unpartitioned=step.unpartitioned,
        sector_size=step.sector_size,
        where=step.where,
    )
    disk = job.out / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(geometry.disk_size)
        for name, paths in files.items():
            position = geometry.find(name).start
            for path in paths:
                copy_sparse(path, stream, position)
                position = round_up(position + path.stat().st_size, BLOCK)
        for name, volume_id in step.marks:
            write_at(stream, geometry.find(name).start, provisioning_mark(volume_id))
        _write_tables(stream, step, geometry)
    check_with_parted(disk, geometry)
    (job.out / "geometry.json").write_text(json.dumps(_described(geometry), indent=1))


def _files_of(folder: Path) -> list[Path]:
    return [folder / name for name in ("image", "hashes") if (folder / name).exists()]


def write_at(stream: BinaryIO, offset: int, data: bytes) -> None:
    """Write `data` at `offset` bytes."""
    stream.seek(offset)
    stream.write(data)


def _write_tables(stream: BinaryIO, step: Disk, geometry: Geometry) -> None:
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
                attributes=0,
                name=p.partition.name,
            )
            for p in geometry.placed
        ),
        disk_sectors=sectors,
        sector_size=cast(Literal[512, 4096], sector),
    )
    areas = gpt.write(table)
    write_at(stream, areas.primary_offset, areas.primary)
    write_at(stream, areas.backup_offset, areas.backup)
    if step.hybrid:
        shown = [geometry.find(name) for name in step.hybrid]
        record = mbr.hybrid(
            [
                mbr.MbrEntry(
                    MBR_ESP if p.partition.type_guid == TYPE_ESP else MBR_LINUX,
                    p.start // sector,
                    p.size // sector,
                )
                for p in shown
            ],
            disk_signature=step.disk_guid.fields[0],
        )
    else:
        record = mbr.protective(sectors)
    write_at(stream, 0, record.pack())


def check_with_parted(disk: Path, geometry: Geometry) -> None:
    """Read the table back with libparted, which wrote none of it, and compare the geometry."""
    import parted

    device = parted.getDevice(str(disk))
    sector = device.sectorSize
    found = {
        p.name: (p.geometry.start * sector, p.geometry.length * sector)
        for p in parted.newDisk(device).partitions
    }
    wanted = {p.partition.name: (p.start, p.size) for p in geometry.placed}
    if found != wanted:
        raise StageFailed(f"libparted reads another geometry than was written: {found}")


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
