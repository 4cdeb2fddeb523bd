"""The store: finished results by key, written beside and renamed in.

    entries/KEY/out/      the result
    entries/KEY/about.json, log
    work/…                results in the making, each under the lock of its key
    locks/KEY             one build at a time makes a result; others wait for it
    bootstrap/            bootstrap archives made or fetched
    pins/                 what package selections were made from, and when
    published/            what stands in which target folder

A result is complete or not there: a crash, a full disk or Ctrl-C leaves only a folder
below `work/`, which the next build sweeps away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from kiwilite.build.children import may_start
from kiwilite.build.sandbox import FOREIGN_BASE, Bind, run_inside
from kiwilite.errors import HostError


@dataclass(frozen=True, slots=True)
class Store:
    """A store below `root`; created on first use."""

    root: Path

    @property
    def entries(self) -> Path:
        return self.root / "entries"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def bootstrap(self) -> Path:
        return self.root / "bootstrap"

    @property
    def published(self) -> Path:
        """What was put into which target folder, to tell that nothing has to be done."""
        return self.root / "published"

    @property
    def packages(self) -> Path:
        """Downloaded packages, shared by all builds."""
        return self.root / "packages"

    def create(self) -> None:
        """Make the store's folders."""
        for folder in (
            "entries",
            "work",
            "locks",
            "bootstrap",
            "packages",
            "pins",
            "logs",
            "published",
        ):
            path = self.root / folder
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise _unusable(self.root, error) from error
            if not os.access(path, os.W_OK | os.X_OK):
                raise _unusable(self.root, PermissionError(errno.EACCES, "it cannot be written"))
        own(self.packages)

    def find(self, key: str) -> Path | None:
        """The result of `key`, or None."""
        out = self.entries / key / "out"
        return out if out.is_dir() else None

    def output(self, key: str) -> Path:
        """Where the result of `key` stands once it is there."""
        return self.entries / key / "out"

    def newest_with(self, name: str) -> tuple[Path, ...]:
        """Folders of results that have a file called `name`, the newest first."""
        found = []
        for path in self.entries.glob(f"*/out/{name}"):
            with contextlib.suppress(OSError):  # removed meanwhile
                found.append((path.stat().st_mtime_ns, path.parent))
        return tuple(folder for _, folder in sorted(found, reverse=True))

    def about(self, key: str) -> dict[str, Any]:
        """What was noted when the result was made."""
        with contextlib.suppress(OSError, ValueError):
            data: dict[str, Any] = json.loads((self.entries / key / "about.json").read_text())
            return data
        return {}

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Hold the lock of `key`; waits for another build that makes the same result.

        Raises Stopped when the build is interrupted meanwhile.
        """
        with (self.root / "locks" / key).open("a") as stream:
            while not _locked(stream):
                may_start()
                time.sleep(0.05)
            yield

    @contextlib.contextmanager
    def making(self, key: str) -> Iterator[Path]:
        """A fresh work folder with `out/` inside; removed again unless `keep` took it over."""
        folder = Path(tempfile.mkdtemp(prefix=f"{key[:16]}.{os.getpid()}.", dir=self.work))
        folder.chmod(0o755)
        (folder / "out").mkdir()
        try:
            yield folder
        finally:
            remove_tree(folder)

    def keep(self, folder: Path, key: str, about: dict[str, Any]) -> None:
        """Make the content of a work folder the result of `key`, in one rename."""
        (folder / "about.json").write_text(json.dumps(about, indent=1, sort_keys=True))
        target = self.entries / key
        if target.exists():
            remove_tree(target)
        folder.rename(target)

    def sweep(self) -> None:
        """Remove work folders of builds that no longer run."""
        for folder in self.work.iterdir():
            pid = folder.name.split(".")[1]
            if not Path(f"/proc/{pid}").exists():
                remove_tree(folder)

    def pin(self, subject: str, *, renew: bool) -> tuple[str, float]:
        """The pin of a package selection and its time; a new one where there is none or `renew`."""
        path = self.root / "pins" / subject
        if not renew:
            with contextlib.suppress(OSError):
                return path.read_text().strip(), path.stat().st_mtime
        now = time.time()
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(f"{int(now)}")
        if renew:
            scratch.rename(path)
        else:
            # Of two builds that start at once, the second takes the pin of the first.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(scratch)
            scratch.unlink()
        return path.read_text().strip(), path.stat().st_mtime


def _locked(stream: IO[str]) -> bool:
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _unusable(root: Path, error: OSError) -> HostError:
    return HostError(
        f"the store {root} cannot be used: {error.strerror}",
        hint="choose another place: `store:` in kiwilite.yml, or $KIWILITE_STORE",
    )


def remove_tree(folder: Path) -> None:
    """Remove a folder whose files may belong to ids that only exist in the namespace."""
    if not folder.exists():
        return
    with contextlib.suppress(OSError):
        shutil.rmtree(folder)
    if not folder.exists():
        return
    with Path(os.devnull).open("wb") as log:
        run_inside(
            ["/bin/sh", "-c", 'chmod -R u+rwX "$1" 2>/dev/null; rm -rf "$1"/*', "sh", str(folder)],
            binds=[Bind(str(folder), "read-write")],
            environment={"PATH": "/usr/bin:/bin"},
            log=log,
        )
    shutil.rmtree(folder, ignore_errors=True)


def own(path: Path) -> None:
    """Let the namespace's root own `path` where that is not who we are."""
    if os.geteuid() != 0:
        return
    try:
        os.lchown(path, FOREIGN_BASE, FOREIGN_BASE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise HostError(
            f"root here is that of a container without the ids from {FOREIGN_BASE} on, "
            "under which builds of root run",
            hint="build as an ordinary user who has a range in /etc/subuid",
        ) from error


def give_to_namespace(folder: Path) -> None:
    """Let the namespace's root own `folder` and all below it."""
    for path in (folder, *folder.rglob("*")):
        own(path)


def default_store() -> Path:
    """$KIWILITE_STORE, else the user's cache folder."""
    if own := os.environ.get("KIWILITE_STORE"):
        return Path(own).absolute()
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "kiwilite"
