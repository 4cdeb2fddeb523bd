"""Keeps a store sound and small, beside builds that run.

What may go is asked of locks and not of a list of builds: a build holds the entries of its
plan (`uses`), whoever makes one has the lock of its key, and both end with their process.
So an entry is removed under both locks, got without waiting, and only if nobody has used
it since it was chosen.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kiwilite.build.inventory import Entry, Inventory, disk_usage, downloads, take_stock
from kiwilite.build.package_files import WORK
from kiwilite.build.publish import is_obsolete
from kiwilite.build.starter import serving
from kiwilite.build.store import ABOUT, DAMAGED, Store, remove_tree
from kiwilite.build.uses import alone, shared
from kiwilite.build.vetting import Damage, examine_inside, examine_outside

DAY = 86400
KEEP_DAYS = 30
"""Where nobody says how much to keep."""
_AT_ONCE = 64
"""Entries examined by one process, each held with a descriptor."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept."""

    unused: float | None
    """Seconds after its last use until an entry or package goes; None: however long."""
    most: int | None
    """Bytes that the store may have; None: any number."""


@dataclass(slots=True)
class Freed:
    """What was removed."""

    entries: list[Entry] = field(default_factory=list)
    packages: int = 0
    others: int = 0
    """Logs, records of target folders that are gone, and what killed builds left."""
    bytes: int = 0
    in_use: int = 0
    """Entries that were to go, and stay because a build has them."""
    left: int = 0
    """Bytes in the store afterwards."""


def collect(store: Store, limits: Limits) -> Freed:
    """Remove what `limits` does not keep, what is unusable, and what is left over.

    Least recently used entries go first, then packages. Bootstrap archives stay: a person
    put them there.
    """
    freed, now = Freed(), time.time()
    oldest = None if limits.unused is None else now - limits.unused
    _collect_left_over(store, now - KEEP_DAYS * DAY if oldest is None else oldest, freed)
    stock = take_stock(store)
    freed.left = stock.bytes
    for entry in by_worth(stock):
        over = limits.most is not None and freed.left > limits.most
        if over or entry.state == "damaged" or (oldest is not None and entry.used < oldest):
            if _remove(store, entry):
                freed.entries.append(entry)
                _count(freed, entry.bytes)
            else:
                freed.in_use += 1
    _collect_packages(store, oldest, limits.most, freed)
    return freed


def by_worth(stock: Inventory) -> list[Entry]:
    """Entries in the order in which they are given up: useless ones, then least recently used."""
    return sorted(stock.entries, key=lambda entry: (entry.state == "fine", entry.used))


def _count(freed: Freed, size: int) -> None:
    freed.bytes += size
    freed.left -= size


def _remove(store: Store, entry: Entry) -> bool:
    """Remove an entry that nobody makes, holds, or has used since it was listed."""
    folder, lock = store.entries / entry.key, store.lock_file(entry.key)
    lock.touch()
    with store.making(entry.key) as trash:  # it is emptied when both locks are free again
        with alone(lock) as nobody_makes, alone(folder) as nobody_holds:
            if not (nobody_makes and nobody_holds) or folder.stat().st_mtime > entry.used:
                return False
            store.move_out(entry.key, trash)
            lock.unlink()
        return True


def _collect_packages(store: Store, oldest: float | None, most: int | None, freed: Freed) -> None:
    """Remove packages and lists nobody had use for, unless a build may be about to read them.

    Each build makes those of its selection young, whatever it has to do, and so keeps what
    the next one needs without a network.
    """
    with alone(store.packages) as free:
        if not free:
            return
        for left_over in (store.packages / WORK).glob("*"):
            remove_tree(left_over)
        for download in sorted(downloads(store), key=lambda d: d.used):
            over = most is not None and freed.left > most
            if over or (oldest is not None and download.used < oldest):
                with contextlib.suppress(PermissionError):  # in a folder of the namespace's
                    _delete(download.path)
                    freed.packages += 1
                    _count(freed, download.bytes)


def _delete(path: Path) -> None:
    if not path.is_dir():
        path.unlink()
        return
    # Some of the lists must not pass for all of them.
    hidden = path.rename(path.with_name(f".{path.name}"))
    shutil.rmtree(hidden)


def _collect_left_over(store: Store, oldest: float, freed: Freed) -> None:
    """What belongs to nothing: unfinished work, old logs, records and locks of what is gone."""
    before = sum(map(disk_usage, store.work.iterdir()))
    store.sweep()
    freed.bytes += max(0, before - sum(map(disk_usage, store.work.iterdir())))
    logs = (p for p in (store.root / "logs").iterdir() if p.stat().st_mtime < oldest)
    records = (p for p in store.published.iterdir() if is_obsolete(p))
    # A pin's name has no dot: these were to become pins when their process was killed.
    scratch = (p for p in (store.root / "pins").glob("*.*") if p.stat().st_mtime < oldest)
    for path in (*logs, *records, *scratch):
        path.unlink(missing_ok=True)
        freed.others += 1
    for lock in (store.root / "locks").iterdir():
        with alone(lock) as free:
            if free and not (store.entries / lock.name).exists():
                lock.unlink()


def examine(store: Store, entries: Sequence[Entry]) -> dict[Entry, tuple[str, ...]]:
    """The damage of all entries, by their full sums; those that are found damaged are marked.

    A marked entry counts as not there, so the next build that needs it makes it again.
    """
    found: dict[Entry, tuple[str, ...]] = {}
    rows = [entry for entry in entries if entry.state != "old"]
    for part in (rows[i : i + _AT_ONCE] for i in range(0, len(rows), _AT_ONCE)):
        by_path = {store.entries / entry.key: entry for entry in part}
        with shared(list(by_path)) as stands:
            damage = _damage(by_path)
            for path, entry in by_path.items():
                said = damage[path]
                if entry.state == "damaged" and not said:
                    said = (f"{ABOUT}: is not as it was written",)
                if said and stands(path):
                    (path / DAMAGED).write_text("\n".join(said))
                    found[entry] = said
    return found


def _damage(entries: dict[Path, Entry]) -> Damage:
    inside = [path for path, entry in entries.items() if entry.place == "namespace"]
    outside = [path for path, entry in entries.items() if entry.place == "host"]
    lost = [path for path, entry in entries.items() if entry.place is None]
    return {
        **(_examined_inside(inside) if inside else {}),
        **examine_outside(outside),
        **dict.fromkeys(lost, (f"{ABOUT}: cannot be read",)),
    }


def _examined_inside(entries: Sequence[Path]) -> Damage:
    with serving() as starter:
        return examine_inside(entries, starter)
