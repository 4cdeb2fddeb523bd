"""The raw disk in the format a hypervisor wants."""

from __future__ import annotations

from kiwilite.build.job import Job
from kiwilite.plan.image_steps import DiskFormat

OPTIONS = {"qcow2": ("-o", "compat=1.1,lazy_refcounts=off")}


def run(step: DiskFormat, job: Job) -> None:
    """Fill `disk.FORMAT`."""
    job.run(
        ["qemu-img", "convert", "-f", "raw", "-O", step.format, *OPTIONS.get(step.format, ())]
        + [str(job.read(step.disk) / "disk.raw"), str(job.out / f"disk.{step.format}")]
    )
