"""Package lists as repositories had them, kept by the pin of the selection made from them.

    packages/lists/SOURCES/TIME/   what apt keeps in its folder of lists, by the pin's time,
                                   and its index of these (`srcpkgcache.bin`)

With the pin it was fetched for, a list serves every further selection: one more package
in the description is then selected from the same state of the repositories as the rest.
A build without a network takes the newest ones there are. Lists of repositories in
folders of this host are not kept; they are read where they are. To make the index takes apt
as long as an answer; it looks at size, time and place of each list and at the index's own
sum before it believes one, and makes it anew where that is wrong or apt is another one.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from kiwilite.build.digest import digest_file
from kiwilite.build.job import Job
from kiwilite.build.sources import apt_uri, source_line
from kiwilite.plan.selection import RepositoryState, moment_of
from kiwilite.plan.tree_steps import AptSource

FOLDER = "lists"
INDEX = "srcpkgcache.bin"

_QUOTED = re.compile(r"""[\\|{}\[\]<>"^~_=!@#$%&*]""")
"""Letters of an address that apt quotes in the names of lists."""


def take(job: Job, sources: Sequence[AptSource], pin: str, target: Path, index: Path) -> bool:
    """Put the kept lists of `sources` into `target`, and apt's index of them, if it is kept,
    at `index`; False where there are no lists.

    Offline those of another pin will do.
    """
    with _locked(job, sources) as folder:
        kept = folder / str(moment_of(pin))
        if not kept.is_dir() and job.network == "offline":
            others = [p for p in folder.iterdir() if p.name.isdigit()]
            kept = max(others, key=lambda p: int(p.name), default=kept)
        if not kept.is_dir():
            return False
        for path in kept.iterdir():
            shutil.copy2(path, index if path.name == INDEX else target / path.name)
    return True


def keep(job: Job, sources: Sequence[AptSource], pin: str, lists: Path) -> None:
    """Keep the lists in `lists`, in place of all earlier ones of `sources`."""
    with _locked(job, sources) as folder:
        earlier = [p for p in folder.iterdir() if p.is_dir()]
        scratch = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        for path in lists.iterdir():
            if path.is_file() and path.name != "lock":
                shutil.copy2(path, scratch / path.name)
        for path in earlier:
            shutil.rmtree(path)
        scratch.rename(folder / str(moment_of(pin)))


def keep_index(job: Job, sources: Sequence[AptSource], pin: str, index: Path) -> None:
    """Keep the index at `index` beside the lists it is of, if apt made it anew."""
    with _locked(job, sources) as folder:
        kept = folder / str(moment_of(pin)) / INDEX
        if not index.is_file() or not kept.parent.is_dir():
            return
        if not kept.is_file() or kept.stat().st_mtime_ns != index.stat().st_mtime_ns:
            scratch = folder / INDEX
            shutil.copy2(index, scratch)
            scratch.rename(kept)


def states(job: Job, lists: Path, sources: Sequence[AptSource]) -> tuple[RepositoryState, ...]:
    """What the Release files among `lists` say of when and what each of `sources` was."""
    rows = []
    for source in sources:
        release = _release(job, lists, source)
        date = None
        if release is not None:
            found = re.search(r"^Date: *(.+)$", release.read_text(errors="replace"), re.MULTILINE)
            date = found[1].strip() if found else None
        rows.append(
            RepositoryState(
                repository=source.uri,
                suite=source.suite,
                components=" ".join(source.components),
                snapshot=source.snapshot,
                date=date,
                release_sha256=digest_file(release) if release is not None else None,
            )
        )
    return tuple(rows)


def _release(job: Job, lists: Path, source: AptSource) -> Path | None:
    """The Release file of `source`; apt names lists after their address."""
    address = re.sub(r"^[a-z+]+:(//)?", "", apt_uri(job, source)).rstrip("/")
    folder = source.suite if source.suite.endswith("/") else f"dists/{source.suite}/"
    name = _QUOTED.sub(lambda m: f"%{ord(m[0]):02x}", f"{address}/{folder}").replace("/", "_")
    found = (lists / f"{name}{kind}" for kind in ("InRelease", "Release"))
    return next((path for path in found if path.is_file()), None)


@contextlib.contextmanager
def _locked(job: Job, sources: Sequence[AptSource]) -> Iterator[Path]:
    """The folder for `sources` as this host reaches them and their keys vouch for them."""
    rows = [
        [source_line(job, s), *(digest_file(job.source(k)) for k in s.signed_by)] for s in sources
    ]
    folder = job.cache / FOLDER / _name(json.dumps(rows))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
