"""A stage that does as it is told, in a process of its own like every other."""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.errors import StageFailed
from kiwilite.ondisk.gpt import BadGpt
from kiwilite.plan.references import Output


@dataclass(frozen=True, slots=True)
class FakeStep:
    """What to do; `diary` is a folder that says afterwards what was done."""

    name: str
    does: str
    reads: tuple[Output, ...]
    diary: Path


def run(step: FakeStep, job: Job) -> None:
    """Note that it ran, then do what the step says."""
    note(step, f"{step.name}.{os.getpid()}")
    (job.out / "half").write_text("half")
    match step.does:
        case "fail":
            raise StageFailed("it went wrong", hint="try harder")
        case "bad table":
            raise BadGpt("entry 3", "lies outside")
        case "crash":
            raise RuntimeError("a defect of ours")
        case "full":
            raise OSError(errno.ENOSPC, "No space left on device", str(job.out))
        case "hang":
            job.run(["sh", "-c", f"echo $$ >{step.diary}/tool; exec sleep 100"])
        case "meet":
            meet(step)
    words = [(job.read(o) / "result").read_text() for o in step.reads]
    (job.out / "half").unlink()
    (job.out / "result").write_text("".join([*words, step.name]))


def note(step: FakeStep, name: str) -> None:
    """Leave a trace in the diary."""
    (step.diary / name).touch()


def meet(step: FakeStep) -> None:
    """Wait until another step that meets is there: both must run at once."""
    note(step, f"here-{step.name}")
    for _ in range(600):
        if len(list(step.diary.glob("here-*"))) == 2:
            return
        time.sleep(0.05)
    raise StageFailed("nobody came")
