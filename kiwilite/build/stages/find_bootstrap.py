"""Whether the repositories have KIWI's bootstrap package, and which file it is."""

from __future__ import annotations

import json
from mmap import ACCESS_READ, mmap
from pathlib import Path

from kiwilite.build.apt_outside import outside
from kiwilite.build.control import stanzas
from kiwilite.build.job import Job
from kiwilite.build.stages.resolve_packages import package_files
from kiwilite.plan.tree_steps import FindBootstrap


def run(step: FindBootstrap, job: Job) -> None:
    """Write `package.json`, a `PackageFile` as data; nothing, where nobody has the package."""
    with outside(job, step.sources, step.architecture, step.pin) as apt:
        if not any(may_list(path, step.name) for path in apt.lists.glob("*_Packages*")):
            return
        if step.name not in apt.run("apt-cache", "pkgnames", step.name).split():
            return
        shown = stanzas(apt.run("apt-cache", "show", "--no-all-versions", step.name))
        (row,) = package_files(apt, step.sources, shown)
        (job.out / "package.json").write_text(json.dumps(row, indent=1))


def may_list(path: Path, name: str) -> bool:
    """Whether a list has the package; of a compressed one, which apt alone reads, that it may.

    Mostly no list has it, and apt-cache would index all of them to say so.
    """
    if not path.name.endswith("_Packages"):
        return True
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as text:
        line = f"Package: {name}\n".encode()
        return text[: len(line)] == line or text.find(b"\n" + line) >= 0
