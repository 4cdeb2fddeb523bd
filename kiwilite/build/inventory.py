"""What is in a store, and how much of the disk it takes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kiwilite.build import package_files, package_lists
from kiwilite.build.store import DAMAGED, Store

State = Literal["fine", "damaged", "old"]
"""`old`: of a kiwilite whose results this one does not use; the next build makes new ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished step."""

    key: str
    step: str
    title: str
    state: State
    place: str | None
    """Where it was made: `host` or `namespace`."""
    bytes: int
    """On the disk, with what other entries share."""
    made: float
    """Seconds since 1970."""
    used: float
    """When a build last had it in its plan; seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Download:
    """A package file, or a folder with the lists of repositories as they were at one time."""

    path: Path
    bytes: int
    """On the disk."""
    used: float
    """When a build last had use for it; seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Amount:
    """Files or folders, and their bytes on the disk."""

    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that takes room."""

    entries: tuple[Entry, ...]
    """The most recently used first."""
    packages: Amount
    bootstrap: Amount
    work: Amount

    @property
    def bytes(self) -> int:
        """Of all of it."""
        others = self.packages.bytes + self.bootstrap.bytes + self.work.bytes
        return sum(entry.bytes for entry in self.entries) + others


def take_stock(store: Store) -> Inventory:
    """What is in `store` now; where there is none, nothing."""
    found = (_entry(store, path.name) for path in _children(store.entries))
    entries = sorted((e for e in found if e), key=lambda entry: entry.used, reverse=True)
    packages = list(downloads(store))
    return Inventory(
        tuple(entries),
        Amount(len(packages), sum(download.bytes for download in packages)),
        _amount(_children(store.bootstrap)),
        _amount(_children(store.work)),
    )


def downloads(store: Store) -> Iterator[Download]:
    """All that was downloaded, without locks and what running builds make of it."""
    lists = store.packages / package_lists.FOLDER
    apart = (store.packages / package_files.WORK, lists)
    locks = [store.packages / name for name in package_files.LOCKS]
    for path in _below(store.packages):
        if path not in locks and not any(path.is_relative_to(folder) for folder in apart):
            with contextlib.suppress(OSError):  # removed since it was listed
                yield Download(path, disk_usage(path), _last_read(path))
    pins = _pins(store)
    for folder in (f for of_some in _children(lists) for f in _children(of_some) if f.is_dir()):
        with contextlib.suppress(OSError):
            used = max(folder.stat().st_mtime, pins.get(folder.name, 0))
            yield Download(folder, disk_usage(folder), used)


def _last_read(path: Path) -> float:
    """A package's own time may be the repository's; the status changed when it came."""
    status = path.lstat()
    return max(status.st_atime, status.st_ctime)


def _pins(store: Store) -> dict[str, float]:
    """When each time that packages were selected at was last asked for."""
    rows: dict[str, float] = {}
    for path in _children(store.root / "pins"):
        with contextlib.suppress(OSError):
            time = path.read_text().strip()
            rows[time] = max(rows.get(time, 0), path.stat().st_mtime)
    return rows


def _entry(store: Store, key: str) -> Entry | None:
    folder = store.entries / key
    about = store.about(key)
    try:
        used = folder.stat().st_mtime
    except FileNotFoundError:  # removed since it was listed
        return None
    size = about.get("bytes")
    return Entry(
        key=key,
        step=about.get("step", "?"),
        title=about.get("title", ""),
        state=_state(store, key),
        place=about.get("place"),
        bytes=size if size is not None else disk_usage(folder),
        made=about.get("made", used),
        used=used,
    )


def _state(store: Store, key: str) -> State:
    if store.find(key) is not None:
        return "fine"
    about = store.about(key)
    old = about and "seal" not in about and not (store.entries / key / DAMAGED).exists()
    return "old" if old else "damaged"


def _amount(paths: list[Path]) -> Amount:
    return Amount(len(paths), sum(map(disk_usage, paths)))


def disk_usage(path: Path) -> int:
    """Bytes of a file or tree on the disk, as far as it may be read."""
    return sum(_blocks(p) for p in (path, *_below(path)))


def _blocks(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _children(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _below(folder: Path) -> Iterator[Path]:
    for base, _, names in os.walk(folder):
        yield from (Path(base, name) for name in names)
