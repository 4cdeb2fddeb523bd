"""Builds the same description again and again, each time under other conditions.

Every build is a process of its own with a store and a target below one work folder:

    first/          the build that the others are compared with
    NAME/           a variation: store, target, copy of the description, home, log

What they share is the choice of packages (a lock beside the description, else the pin and
the package lists it stands for), downloaded packages and bootstrap archives beside the
store, and nothing else. A variation's folders go when the next one
begins; the work folder goes in the end.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kiwilite.build.package_lists import FOLDER as LISTS
from kiwilite.build.reproduce.circumstances import (
    Host,
    clock_variables,
    obstacle,
    variables,
    ways_to_python,
)
from kiwilite.build.reproduce.conditions import Condition, Variation, in_order
from kiwilite.build.reproduce.folders import copy_description, give
from kiwilite.build.reproduce.launch import Circumstances
from kiwilite.build.reproduce.terminal import drained
from kiwilite.build.store import Store, give_to_namespace, remove_tree
from kiwilite.errors import StageFailed

FIRST: Final = Variation("first", frozenset())
UMASK: Final = 0o077
HOSTNAME: Final = "somewhere-else"
_PATIENCE: Final = 30
"""Seconds an interrupted build has to clean up."""


class Downloads(Enum):
    """Which downloaded packages and bootstrap archives a store has."""

    SHARED = "those of the subject's store itself"
    COPIED = "a copy of them"
    NONE = "none but lists of packages, and a copy of the archives, which only the user can bring"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is built: the description's file, and options of `system build` that belong to it."""

    file: Path
    folder: Path
    options: tuple[str, ...]
    mirrors: Mapping[str, str]
    snapshots: Mapping[str, str]
    store: Store
    """Whose downloaded packages and bootstrap archives are used."""


@dataclass(frozen=True, slots=True)
class Built:
    """How a build under some conditions ended."""

    variation: Variation
    applied: tuple[Condition, ...]
    left_out: tuple[tuple[Condition, str], ...]
    """Conditions that this host does not allow, and why."""
    seconds: float
    target: Path | None
    """The folder with the results, until the next build begins; None where there are none."""
    complaint: str = ""
    """The last words of a build that failed."""

    @property
    def is_shown(self) -> bool:
        """Whether the build says anything: without what it is about, it does not."""
        return says_something(self.variation, frozenset(self.applied))


def says_something(variation: Variation, applied: frozenset[Condition]) -> bool:
    """Whether a variation has a point with these of its conditions."""
    if variation.about is not None:
        return variation.about in applied
    return bool(applied) or not variation.conditions


@contextmanager
def work_folder(*, keep: bool) -> Iterator[Path]:
    """A folder for all of it, below $TMPDIR or /var/tmp; removed unless it is to be kept."""
    folder = Path(tempfile.mkdtemp(prefix="kiwilite-", dir=os.environ.get("TMPDIR") or "/var/tmp"))
    try:
        yield folder
    finally:
        if not keep:
            remove_tree(folder)


def first_build(subject: Subject, work: Path) -> Built:
    """The build that others are compared with. Raises StageFailed where it does not succeed."""
    own = work / FIRST.name
    _prepare_store(subject, own / "store", Downloads.SHARED, subject.store.root / "pins")
    begun = time.monotonic()
    environment = {**os.environ, "KIWILITE_STORE": str(own / "store")}
    status = _run(subject, subject.file, own, Circumstances(), environment, terminal=False)
    if status != 0:
        raise StageFailed(f"the first build failed:\n{_last_words(own)}")
    return Built(FIRST, (), (), time.monotonic() - begun, own / "target")


@contextmanager
def varied_build(
    subject: Subject, variation: Variation, host: Host, work: Path, *, keep: bool
) -> Iterator[Built]:
    """A build under other conditions; what it made is there as long as the block lasts."""
    reasons = {c: obstacle(c, host) for c in in_order(variation.conditions)}
    left_out = [(c, reason) for c, reason in reasons.items() if reason]
    wanted = frozenset(c for c, reason in reasons.items() if not reason)
    base = work
    if Condition.ORDER in wanted and host.other_file_system is not None:
        base = Path(tempfile.mkdtemp(prefix="kiwilite-", dir=host.other_file_system))
        (work / variation.name).symlink_to(base / variation.name)
    try:
        if not says_something(variation, wanted):
            yield Built(variation, (), tuple(left_out), 0, None)
            return
        yield _varied(
            subject, variation, wanted, tuple(left_out), host, base / variation.name, work
        )
    finally:
        if not keep:
            remove_tree(base / variation.name)
            if base != work:
                remove_tree(base)
                (work / variation.name).unlink(missing_ok=True)


def _varied(
    subject: Subject,
    variation: Variation,
    wanted: frozenset[Condition],
    left_out: tuple[tuple[Condition, str], ...],
    host: Host,
    own: Path,
    work: Path,
) -> Built:
    pins = work / FIRST.name / "store/pins"
    _prepare_store(subject, own / "store", _downloads(wanted), pins)
    for name in ("home", "scratch"):
        (own / name).mkdir()
    file = subject.file
    if wanted & {Condition.FOLDER, Condition.ORDER, Condition.USER}:
        folder = own / "some where" / "else"
        folder.parent.mkdir()
        copy_description(subject.folder, folder)
        file = folder / subject.file.name
    user = host.other_user if Condition.USER in wanted else None
    if user is not None:
        entry = pwd.getpwnam(user)
        give(own, entry.pw_uid, entry.pw_gid)
    environment = variables(wanted, host, os.environ, own)
    environment["KIWILITE_STORE"] = str(own / "store")
    circumstances = _circumstances(wanted, host, own)
    begun = time.monotonic()
    on_terminal = Condition.TERMINAL in wanted
    status = _run(subject, file, own, circumstances, environment, terminal=on_terminal)
    seconds, applied = time.monotonic() - begun, tuple(in_order(wanted))
    if status != 0:
        return Built(variation, applied, left_out, seconds, None, _last_words(own))
    return Built(variation, applied, left_out, seconds, own / "target")


def _circumstances(wanted: frozenset[Condition], host: Host, own: Path) -> Circumstances:
    with_user = Condition.USER in wanted
    return Circumstances(
        umask=UMASK if Condition.UMASK in wanted else None,
        hostname=HOSTNAME if Condition.HOSTNAME in wanted else None,
        processors=host.processors[-1:] if Condition.PROCESSORS in wanted else None,
        user=host.other_user if with_user else None,
        variables=clock_variables(host.clock) if Condition.LATER in wanted and host.clock else {},
        visible=(*ways_to_python(), str(own)) if with_user else (),
    )


def _prepare_store(subject: Subject, root: Path, downloads: Downloads, pins: Path) -> None:
    """A store with nothing built in it, but the same choice of packages."""
    root.mkdir(parents=True)
    shutil.copytree(pins, root / "pins")
    packages, archives = subject.store.packages, subject.store.bootstrap
    if downloads is Downloads.SHARED:
        for folder in (packages, archives):
            (root / folder.name).symlink_to(folder)
        return
    shutil.copytree(archives, root / archives.name)
    if downloads is Downloads.COPIED:
        shutil.copytree(packages, root / packages.name)
    elif (packages / LISTS).is_dir():
        # A repository may have moved on since, and then the choice would be another one.
        shutil.copytree(packages / LISTS, root / packages.name / LISTS)
        give_to_namespace(root / packages.name)


def _downloads(wanted: frozenset[Condition]) -> Downloads:
    if Condition.PACKAGES in wanted:
        return Downloads.NONE
    return Downloads.COPIED if Condition.USER in wanted else Downloads.SHARED


def _run(
    subject: Subject,
    file: Path,
    own: Path,
    circumstances: Circumstances,
    environment: Mapping[str, str],
    *,
    terminal: bool,
) -> int:
    """Build; its exit status. What it says goes to the log."""
    configuration = own / "kiwilite.yml"
    configuration.write_text(
        json.dumps({"mirrors": dict(subject.mirrors), "snapshots": dict(subject.snapshots)})
    )
    configuration.chmod(0o644)
    # Steps do not see our environment; where the clock is to be theirs, that module hands it on.
    module = "kiwilite.build.reproduce.clock" if circumstances.variables else "kiwilite"
    words = ["-m", module, "system", "build"]
    words += ["--description", str(file), "--target-dir", str(own / "target")]
    words += ["--config", str(configuration), *subject.options]
    command = circumstances.command(*words)
    with (own / "log").open("wb") as log:
        if terminal:
            with drained(log) as end:
                return _waited(command, environment, own, end, end)
        return _waited(command, environment, own, subprocess.DEVNULL, log.fileno())


def _waited(
    command: Sequence[str], environment: Mapping[str, str], folder: Path, stdin: int, out: int
) -> int:
    child = subprocess.Popen(
        command,
        env={**environment, "PYTHONPATH": os.pathsep.join(ways_to_modules())},
        cwd=folder,
        stdin=stdin,
        stdout=out,
        stderr=out,
        start_new_session=True,
    )
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(_PATIENCE)
            child.kill()
            child.wait()


def ways_to_modules() -> list[str]:
    """Where a child finds this package: it need not be installed, a checkout will do."""
    import kiwilite

    own = str(Path(kiwilite.__file__).resolve().parent.parent)
    return list(dict.fromkeys([own, *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]))


def _last_words(own: Path) -> str:
    lines = (own / "log").read_text(errors="replace").splitlines()
    return "\n".join(f"    {line}" for line in lines[-15:])
