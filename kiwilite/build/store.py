"""The store: finished results by key, written beside and renamed in.

    entries/KEY/out/      the result
    entries/KEY/about.json, manifest, log
    entries/KEY/sums      what `sha256sum` says of files that were published
    work/…                results in the making; who makes one holds a lock on its folder
    locks/KEY             one build at a time makes a result; others wait for it
    packages/             downloaded packages; builds that install some hold a lock on it
    bootstrap/            bootstrap archives made or fetched
    pins/                 what package selections were made from, and when
    published/            what stands in which target folder

A result is complete or not there: a crash, a full disk or Ctrl-C leaves only a folder
below `work/`, which the next build sweeps away. Entries in use are held (`uses`), and what
became of one since it was made is told by its manifest (`manifest`).
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from kiwilite.build import manifest
from kiwilite.build.children import may_start
from kiwilite.build.ids import id_maps
from kiwilite.build.sandbox import Bind, run_inside
from kiwilite.build.starter import Program, serving
from kiwilite.build.uses import alone, stands_at
from kiwilite.errors import HostError

ABOUT = "about.json"
DAMAGED = "damaged"
"""A file in an entry that was found damaged: it counts as not there."""


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

    @property
    def tools(self) -> Path:
        """What files of the host were, when they were last read."""
        return self.root / "tools.json"

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
        """The result of `key`; None where there is none, or one that was changed, by its stat.

        What is read of it has to be examined (`vetting`): a stat does not see all.
        """
        entry = self.entries / key
        if not manifest.intact(entry, self.about(key).get("seal")) or (entry / DAMAGED).exists():
            return None
        return entry / "out"

    def absence(self, key: str) -> Literal["removed", "damaged"]:
        """What became of a result that `find` does not give: all of it is gone, or a part."""
        return "damaged" if (self.entries / key).exists() else "removed"

    def output(self, key: str) -> Path:
        """Where the result of `key` stands once it is there."""
        return self.entries / key / "out"

    def lock_file(self, key: str) -> Path:
        """The file whose lock whoever makes the result of `key` has."""
        return self.root / "locks" / key

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
            data: dict[str, Any] = json.loads((self.entries / key / ABOUT).read_text())
            return data
        return {}

    @contextlib.contextmanager
    def lock(self, key: str, waiting: Callable[[], None] | None = None) -> Iterator[None]:
        """Hold the lock of `key`; waits for another build that makes the same result.

        Calls `waiting` once before it waits. Raises Stopped when the build is interrupted
        meanwhile.
        """
        path = self.lock_file(key)
        while True:
            with path.open("a") as stream:
                while not _locked(stream):
                    if waiting is not None:
                        waiting()
                        waiting = None
                    may_start()
                    time.sleep(0.05)
                # Of an entry that was removed meanwhile, the lock went with it.
                if stands_at(path, stream.fileno()):
                    yield
                    return

    @contextlib.contextmanager
    def making(self, key: str) -> Iterator[Path]:
        """A fresh work folder with `out/` inside; removed again unless `keep` took it over.

        It is locked meanwhile, so that `sweep` leaves it alone.
        """
        folder, fd = self._work_folder(key)
        try:
            folder.chmod(0o755)
            (folder / "out").mkdir()
            yield folder
        finally:
            remove_tree(folder)
            os.close(fd)

    def _work_folder(self, key: str) -> tuple[Path, int]:
        """A new folder, and the descriptor that holds its lock."""
        while True:
            folder = Path(tempfile.mkdtemp(prefix=f"{key[:16]}.{os.getpid()}.", dir=self.work))
            # A sweep may come between the two, and takes what nobody holds yet.
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(folder, os.O_RDONLY)
                fcntl.flock(fd, fcntl.LOCK_SH)
                if folder.exists():
                    return folder, fd
                os.close(fd)

    def keep(self, folder: Path, key: str, about: dict[str, Any]) -> None:
        """Make the content of a work folder, with its manifest, the result of `key`, in one rename.

        Nothing is flushed to the disk. After a power cut of the build host an entry may
        stand there with blocks that were never written, and costs what a damaged one costs:
        its manifest or its content is not what was noted, which is seen before a step or a
        target folder gets it, and it is made again. To wait for the disk in every step
        would cost each build more than that costs one build after a power cut.
        """
        rows = manifest.read(folder)
        more = {
            "seal": manifest.surface(folder),
            "bytes": manifest.disk_usage(folder, rows),
            "made": int(time.time()),
        }
        (folder / ABOUT).write_text(json.dumps({**about, **more}, indent=1, sort_keys=True))
        self.discard(key)
        folder.rename(self.entries / key)

    def discard(self, key: str) -> None:
        """Remove the entry of `key`, if there is one, whoever uses it."""
        if (self.entries / key).exists():
            with self.making(key) as trash:
                self.move_out(key, trash)

    def move_out(self, key: str, trash: Path) -> None:
        """Put the entry of `key` into a work folder, which goes with all that is in it."""
        with contextlib.suppress(FileNotFoundError):
            (self.entries / key).rename(trash / "discarded")

    def sweep(self) -> None:
        """Remove work folders that nobody holds: their builds were killed."""
        for folder in self.work.iterdir():
            with alone(folder) as free:
                if free:
                    remove_tree(folder)

    def pin(self, subject: str, *, renew: bool) -> str:
        """The pin of a package selection; a new one where there is none or `renew`.

        It is the time it was made at, in seconds since 1970. The file's own time is its last use.
        """
        path = self.root / "pins" / subject
        if not renew:
            with contextlib.suppress(OSError):
                found = path.read_text().strip()
                with contextlib.suppress(PermissionError):
                    os.utime(path)
                return found
        scratch = path.with_suffix(f".{os.getpid()}")
        scratch.write_text(f"{int(time.time())}")
        if renew:
            scratch.rename(path)
        else:
            # Of two builds that start at once, the second takes the pin of the first.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(scratch)
            scratch.unlink()
        return path.read_text().strip()


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
    # Modes stay as they are: a file may be another result's as well.
    script = 'rm -rf "$1"/*'
    task = Program(("/bin/sh", "-c", script, "sh", str(folder)), {"PATH": "/usr/bin:/bin"})
    with Path(os.devnull).open("wb") as log, serving() as starter:
        run_inside(task, binds=[Bind(str(folder), "read-write")], log=log, starter=starter)
    shutil.rmtree(folder, ignore_errors=True)


def own(path: Path) -> None:
    """Let the namespace's root own `path` where that is not who we are. Raises HostError."""
    if os.geteuid() != 0:
        return
    uids, gids = id_maps()
    os.lchown(path, uids.root, gids.root)


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
