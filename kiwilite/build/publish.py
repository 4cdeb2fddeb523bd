"""Puts results from the store into the target folder, each file whole or not at all.

`SHA256SUMS` has the files that go elsewhere. Where the description asks for a format, that is
the disk in this format; the raw disk beside it has no sum then. To make one goes over every
zero of the disk, and takes longer than all else after a small change.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Self

from kiwilite import __version__
from kiwilite.build import manifest, sums
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

    Told by a stat; once after each start of the host by the content, since a power cut may
    have taken what was on its way to the disk, and left size and time.
    """
    path = _record(target, store)
    before = _read(path)
    if before.get("keys") != dict(identity):
        return False
    if any(_stamp(target / name) != stamp for name, stamp in before["stamps"].items()):
        return False
    if before.get("boot") != _boot():
        noted = before.get("content", {})
        contents = {name: manifest.content(target / name) for name in noted}
        if _sums(target, before["sha256"]) != before["sha256"] or contents != noted:
            return False
        write_whole(path, json.dumps({**before, "boot": _boot()}))
    return True


def _sums(target: Path, names: Iterable[str]) -> dict[str, str]:
    return {name: digest_file(target / name) for name in names}


def remember(
    target: Path, identity: Mapping[str, str], unsummed: Mapping[str, Path], store: Store
) -> None:
    """Note in the store what a `Publication` put into `target`.

    `unsummed` says by name which files of the store those are that have no sum.
    """
    summary = _read(target / RESULT)
    record = {
        "target": str(target.absolute()),
        "keys": dict(identity),
        "stamps": {n: _stamp(target / n) for n in [*summary["files"].values(), SUMS, RESULT]},
        "sha256": {**summary["sha256"], **_sums(target, (SUMS, RESULT))},
        "content": {n: manifest.noted_content(file) for n, file in unsummed.items()},
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
    summed: Future[str] | None
    """None where it gets no sum."""

    def end(self) -> None:
        """Wait until nothing of it runs, however it went."""
        wait([self.written])
        wait([self.summed] if self.summed else [])
        self.source.close()

    def sum(self) -> str | None:
        """The sum, if it gets one, once all is written. Raises OSError."""
        self.written.result()
        return self.summed.result() if self.summed else None


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
    unsummed: Collection[str] = ()
    """The kinds that get no sum."""
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
            written = self._pool.submit(_copy, source, self._scratch(kind), self._place(kind))
            summed = None if kind in self.unsummed else self._sum(source, known)
            self._copies[kind] = _Copy(source, written, summed)

    def _sum(self, source: BinaryIO, known: str | None) -> Future[str]:
        if known is not None:
            return _is(known)
        pool = self._sums if os.fstat(source.fileno()).st_size > LARGE else self._pool
        return pool.submit(digest_open, source.fileno())

    def finish(self, plan: Plan) -> None:
        """Copy what is lacking, and make all of it the content of `target`. Raises OSError.

        The results in the store must be known to be sound.
        """
        for kind, file in self.sources.items():
            if kind not in self._copies:
                self._put(kind, file, sums.known(_entry(file)).get(file.name))
        sums_ = {self.names[kind]: copy.sum() for kind, copy in self._copies.items()}
        digests = {name: sum_ for name, sum_ in sums_.items() if sum_ is not None}
        stale = set(_read(self.target / RESULT).get("files", {}).values()) - sums_.keys()
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
            if self.names[kind] in digests:
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
