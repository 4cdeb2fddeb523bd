"""The place of every partition, now that the contents have a size."""

from __future__ import annotations

from kiwilite.build.geometry import content_bytes, content_files, write_geometry
from kiwilite.build.job import Job
from kiwilite.plan.image_steps import Layout
from kiwilite.plan.partitions import layout


def run(step: Layout, job: Job) -> None:
    """Fill `geometry.json`. Raises DoesNotFit."""
    files = content_files(step.contents, job)
    geometry = layout(
        step.partitions,
        {name: content_bytes(paths, name in step.tails) for name, paths in files.items()},
        disk_size=step.size,
        extra=step.extra,
        unpartitioned=step.unpartitioned,
        sector_size=step.sector_size,
        where=step.where,
    )
    write_geometry(geometry, job.out)
