"""Puts results from the store into the target folder, each file whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Self

from kiwilite import __version__
from kiwilite.build import sums
from kiwilite.build import syscalls as sc
from kiwilite.build.digest import digest_file, digest_open
from kiwilite.build.store import Store
from kiwilite.ondisk.sparse import copy_open
from kiwilite.plan.nodes import Plan

RESULT = "kiwilite.result.json"
SUMS = "SHA256SUMS"
LARGE = 1 << 28
"""Bytes from which on a file takes long to be summed, with its holes."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SCRATCH = ".kiwilite-"
"""Between the name of a file that is being written and the process that writes it."""


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        return data
    except (OSError, ValueError):
        return {}


def _record(target: Path, store: Store) -> Path:
    return store.published / hashlib.sha256(str(target.absolute()).encode()).hexdigest()


def is_up_to_date(target: Path, identity: Mapping[str, str], store: Store) -> bool:
    """Whether `target` holds the results of these keys, and nobody touched them since.

    Told by a stat; once after each start of the host by the sums, since a power cut may have
    taken content that was on its way to the disk, and left size and time.
    """
    path = _record(target, store)
    before = _read(path)
    if before.get("keys") != dict(identity):
        return False
    if any(_stamp(target / name) != stamp for name, stamp in before["stamps"].items()):
        return False
    if before.get("boot") != _boot():
        sums = before.get("sha256", {})
        if not sums or any(digest_file(target / name) != sum_ for name, sum_ in sums.items()):
            return False
        write_whole(path, json.dumps({**before, "boot": _boot()}))
    return True


def remember(target: Path, identity: Mapping[str, str], names: Sequence[str], store: Store) -> None:
    """Note in the store what `publish` put into `target`."""
    record = {
        "target": str(target.absolute()),
        "keys": dict(identity),
        "stamps": {n: _stamp(target / n) for n in [*names, SUMS, RESULT]},
        "sha256": {
            **_read(target / RESULT)["sha256"],
            **{n: digest_file(target / n) for n in (SUMS, RESULT)},
        },
        "boot": _boot(),
    }
    write_whole(_record(target, store), json.dumps(record))


def _boot() -> str:
    """What the kernel calls the time since the host was started (random(4))."""
    return BOOT_ID.read_text().strip()


def is_obsolete(record: Path) -> bool:
    """Whether what `remember` noted is of a target folder that has no results any more."""
    target = _read(record).get("target")
    return target is None or not (Path(target) / RESULT).exists()


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file on its way: while it is written to the target, the one in the store is summed."""

    source: BinaryIO
    written: Future[None]
    summed: Future[str]

    def end(self) -> None:
        """Wait until nothing of it runs, however it went."""
        wait([self.written])
        wait([self.summed])
        self.source.close()

    def sum(self) -> str:
        """The sum, once all is written. Raises OSError."""
        self.written.result()
        return self.summed.result()


@dataclass(slots=True)
class Publication:
    """Files on their way from the store into `target`; to be used as a context.

    `put` starts to copy and to sum one, beside the steps that still run; `finish` gives all of
    them their names when they are written, with sums, and the summary comes last: where there
    is no room, or the build fails, what an earlier build left stays as it was. What it left
    under other names is removed.

    Sums are those of the store's files. They are noted there, so that of a result that is
    published once more nothing has to be summed but what tells that it is sound.
    """

    sources: Mapping[str, Path]
    """By kind of result, as `names`."""
    names: Mapping[str, str]
    target: Path
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=1))
    _sums: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(max_workers=2))
    """For those of large files. A disk's takes longer than all else that is done meanwhile, which
    is one thing after another, so that on two processors it has one for itself."""
    _copies: dict[str, _Copy] = field(default_factory=dict)
    _made_target: bool = False
    _lock: Lock = field(default_factory=Lock)
    """Steps that run side by side may end at once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pool in (self._sums, self._pool):
            pool.shutdown(cancel_futures=True)
        for kind, copy in self._copies.items():
            copy.source.close()
            self._scratch(kind).unlink(missing_ok=True)
        if self._made_target:
            with contextlib.suppress(OSError):
                self.target.rmdir()  # nothing came of it

    def put(self, kind: str, file: Path) -> None:
        """Start to copy this kind's file, which was finished, or made once more.

        It is opened before this returns, and may have another place in the store afterwards.
        """
        self._put(kind, file, known=None)

    def _put(self, kind: str, file: Path, known: str | None) -> None:
        with self._lock:
            if not self._copies:
                self._made_target = not self.target.exists()
                self.target.mkdir(parents=True, exist_ok=True)
                _sweep(self.target)
            if kind in self._copies:
                self._copies[kind].end()
            source = file.open("rb")
            pool = self._sums if os.fstat(source.fileno()).st_size > LARGE else self._pool
            self._copies[kind] = _Copy(
                source,
                self._pool.submit(_copy, source, self._scratch(kind), self._place(kind)),
                pool.submit(digest_open, source.fileno()) if known is None else _is(known),
            )

    def finish(self, plan: Plan) -> None:
        """Copy what is lacking, and make all of it the content of `target`. Raises OSError.

        The results in the store must be known to be sound.
        """
        for kind, file in self.sources.items():
            if kind not in self._copies:
                self._put(kind, file, sums.known(_entry(file)).get(file.name))
        digests = {self.names[kind]: copy.sum() for kind, copy in self._copies.items()}
        stale = set(_read(self.target / RESULT).get("files", {}).values()) - digests.keys()
        # To let go of a large file takes its time: side by side, and not one rename after another.
        held = [os.open(p, os.O_PATH) for p in map(self._place, self.names) if p.exists()]
        for kind in self.names:
            self._scratch(kind).replace(self._place(kind))
        let_go = [self._sums.submit(os.close, fd) for fd in held]
        write_whole(self.target / SUMS, "".join(f"{digests[n]}  {n}\n" for n in sorted(digests)))
        summary = _summary(plan, self.names, digests)
        write_whole(self.target / RESULT, json.dumps(summary, indent=1) + "\n")
        for name in stale:
            (self.target / name).unlink(missing_ok=True)
        for kind, file in self.sources.items():
            _note(file, digests[self.names[kind]])
        wait(let_go)

    def _place(self, kind: str) -> Path:
        return self.target / self.names[kind]

    def _scratch(self, kind: str) -> Path:
        return _scratch(self._place(kind))


def _copy(source: BinaryIO, scratch: Path, place: Path) -> None:
    """Copy with holes, to what will be put into `place`."""
    with scratch.open("wb") as stream:
        stream.truncate(os.fstat(source.fileno()).st_size)
        copy_open(source, stream, 0)
        if place.exists():
            # ext4 and others do so, and wait, where a file takes another's name: so that after
            # a power cut there is one of them, and not an empty one.
            sc.start_writing(stream.fileno())


def _is(sum_: str) -> Future[str]:
    """A sum that is known already."""
    future: Future[str] = Future()
    future.set_result(sum_)
    return future


def _entry(file: Path) -> Path:
    """The entry whose result has this file directly in it."""
    return file.parents[1]


def _note(file: Path, sum_: str) -> None:
    """Keep a sum; where that cannot be done, the next publication sums once more."""
    entry = _entry(file)
    with contextlib.suppress(OSError):
        if sums.known(entry).get(file.name) != sum_:
            write_whole(entry / sums.FILE, sums.noted(entry, {file.name: sum_}))


def _summary(plan: Plan, names: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kiwilite": __version__,
        "image": plan.image,
        "version": plan.version,
        "architecture": plan.architecture,
        "profiles": list(plan.profiles),
        "files": dict(sorted(names.items())),
        "sha256": dict(sorted(digests.items())),
    }


def _scratch(path: Path) -> Path:
    """The name beside `path` under which it is written."""
    return path.with_name(f".{path.name}{SCRATCH}{os.getpid()}")


def _sweep(target: Path) -> None:
    """Remove what builds that were killed here had not finished."""
    for path in target.glob(f".*{SCRATCH}*"):
        if not Path(f"/proc/{path.name.rpartition(SCRATCH)[2]}").exists():
            path.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Give `path` a new text in one rename. Raises OSError."""
    scratch = _scratch(path)
    try:
        scratch.write_text(text)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
