"""What the manifests of a step's inputs say, read once in a process."""

from __future__ import annotations

import functools
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.manifest import FILE, Shared
from kiwilite.plan.references import Output


def input_of(job: Job, output: Output) -> Shared:
    """What is noted of another step's result; true where that is found sound, in the end."""
    return _noted(job.linkable(job.read(output)).parent)


def inputs_of(job: Job) -> tuple[Shared, ...]:
    """The same of all results that the step reads."""
    return tuple(_noted(job.linkable(out).parent) for out in job.outputs.values())


def _noted(entry: Path) -> Shared:
    try:
        status = (entry / FILE).stat()
    except OSError:
        return Shared.of(entry)
    return _read(entry, (status.st_ino, status.st_mtime_ns, status.st_size))


@functools.lru_cache(maxsize=4)
def _read(entry: Path, _stamp: tuple[int, int, int]) -> Shared:
    return Shared.of(entry)
