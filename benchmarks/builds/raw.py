"""The tools that every build of the image needs, alone: mmdebstrap, mksquashfs, veritysetup.

They get the packages that our build has selected, from the same cache, and its options;
mksquashfs the same tree at the same level. They run in our namespace, and what it takes to
enter it is not counted.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from builds.measures import Row, said
from builds.ours import DESCRIPTION, user_store
from builds.peers import wanted_packages
from builds.running import Usage, run
from kiwilite.build.digest import digest_file
from kiwilite.build.initrd_package import INITRD_CONTROL
from kiwilite.build.job import BASE_ENVIRONMENT, Job
from kiwilite.build.package_files import repository
from kiwilite.build.python import import_path
from kiwilite.build.sandbox import Bind, run_inside
from kiwilite.build.squashfs_content import BLOCK
from kiwilite.build.starter import Program, serving
from kiwilite.build.store import own
from kiwilite.ondisk.deb import write_deb
from kiwilite.plan.selection import package_of

BENCHMARKS = Path(__file__).resolve().parents[1]
EPOCH = 1754697600
MMDEBSTRAP, MKSQUASHFS, VERITYSETUP = "mmdebstrap", "mksquashfs", "veritysetup"


@dataclass(frozen=True, slots=True)
class Task:
    """What is done in the namespace; paths as text, for JSON."""

    scratch: str
    cache: str
    packages: str
    """The selection: `packages.json`."""
    wanted: tuple[str, ...]
    architecture: str
    excluded: tuple[str, ...]
    """Options for dpkg, as `post_bootstrap.sh` has them."""
    tree: str
    level: int


def measure(folder: Path, packages: Path, tree: Path) -> Mapping[str, Usage]:
    """Run each tool on the packages and the tree of a clean build, in a new folder."""
    folder.mkdir()
    own(folder)
    task = Task(
        scratch=str(folder),
        cache=str(user_store() / "packages"),
        packages=str(packages),
        wanted=wanted_packages(),
        architecture="amd64",
        excluded=tuple(
            line
            for line in (DESCRIPTION / "post_bootstrap.sh").read_text().splitlines()
            if line.startswith("path-")
        ),
        tree=str(tree),
        level=3,
    )
    with folder.with_suffix(".log").open("w+b") as log, serving() as starter:
        ended = run_inside(
            Program(
                (sys.executable, "-m", "builds.raw", json.dumps(asdict(task))),
                {
                    **BASE_ENVIRONMENT,
                    "PYTHONPATH": os.pathsep.join([import_path(), str(BENCHMARKS)]),
                },
            ),
            binds=[
                Bind(task.scratch, "read-write"),
                Bind(task.cache, "read-write"),
                Bind(str(packages.parent)),
                Bind(str(tree)),
                Bind(str(BENCHMARKS)),
            ],
            log=log,
            starter=starter,
            network="offline",
        )
        if ended.status != 0:
            log.seek(0)
            raise SystemExit(f"the raw tools failed:\n{log.read().decode(errors='replace')}")
    found = json.loads((folder / "usages.json").read_text())
    return {name: said(name, Usage(**usage)) for name, usage in found.items()}


def rows(runs: Sequence[Mapping[str, Usage]]) -> tuple[Row, ...]:
    """A row for each tool."""
    return tuple(Row(name, tuple(run[name] for run in runs)) for name in runs[0])


def main(text: str) -> None:
    """In the namespace: carry out a task and leave `usages.json`."""
    task = Task(**json.loads(text))
    image, hashes = Path(task.scratch, "image"), Path(task.scratch, "hashes")
    found = {
        MMDEBSTRAP: _mmdebstrap(task),
        MKSQUASHFS: _mksquashfs(task, image),
        VERITYSETUP: run(["veritysetup", "format", image, hashes]),
    }
    data = {name: asdict(usage) for name, usage in found.items()}
    Path(task.scratch, "usages.json").write_text(json.dumps(data))


def _mmdebstrap(task: Task) -> Usage:
    """As the step `bootstrap` has it, with all packages at once; the tree stays, as ours do."""
    selected = json.loads(Path(task.packages).read_text())
    packages = [package_of(row) for row in (*selected["bootstrap"], *selected["image"])]
    scratch, tree = Path(task.scratch), Path(task.scratch, "tree")
    log = scratch / "log"
    log.touch()
    job = Job("", scratch, scratch, log, {}, {}, Path(task.cache), {}, network="offline")
    with repository(job, packages) as folder:
        initrd = folder / "initrd.deb"
        initrd.write_bytes(write_deb(INITRD_CONTROL))
        rows = "".join(f"{name}: {value}\n" for name, value in INITRD_CONTROL.items())
        with (folder / "Packages").open("a") as index:
            index.write(f"\n{rows}Filename: ./{initrd.name}\nSize: {initrd.stat().st_size}\n")
            index.write(f"SHA256: {digest_file(initrd)}\n")
        command: list[str | Path] = ["mmdebstrap", "--mode=root", "--variant=apt"]
        command += ["--format=directory", "--skip=output/mknod,output/dev,chroot/mount/sys"]
        command += [f"--architectures={task.architecture}", f"--include={','.join(task.wanted)}"]
        command += [f"--dpkgopt={option}" for option in task.excluded]
        command += ["selected", tree, f"deb [trusted=yes] copy:{folder} ./"]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "TMPDIR": task.scratch}
        return run(command, environment=environment)


def _mksquashfs(task: Task, image: Path) -> Usage:
    command: list[str | Path] = [
        "mksquashfs",
        task.tree,
        image,
        "-noappend",
        "-quiet",
        "-no-progress",
    ]
    command += ["-b", str(BLOCK), "-comp", "zstd", "-Xcompression-level", str(task.level)]
    return run(command, environment={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)})


if __name__ == "__main__":
    main(sys.argv[1])
