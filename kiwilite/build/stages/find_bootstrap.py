"""Whether the repositories have KIWI's bootstrap package, and which file it is."""

from __future__ import annotations

import json

from kiwilite.build.apt_outside import outside
from kiwilite.build.control import stanzas
from kiwilite.build.job import Job
from kiwilite.build.stages.resolve_packages import package_files
from kiwilite.plan.tree_steps import FindBootstrap


def run(step: FindBootstrap, job: Job) -> None:
    """Write `package.json`, a `PackageFile` as data; nothing, where nobody has the package."""
    apt = outside(job, step.sources, step.architecture, step.pin)
    if step.name not in apt.run("apt-cache", "pkgnames", step.name).split():
        return
    shown = stanzas(apt.run("apt-cache", "show", "--no-all-versions", step.name))
    (row,) = package_files(apt, step.sources, shown)
    (job.out / "package.json").write_text(json.dumps(row, indent=1))
