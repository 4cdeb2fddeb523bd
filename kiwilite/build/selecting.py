"""Which packages a build installs: those of its lock, else what apt chose at some time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiwilite.build import bootstrap_archive, lock_file
from kiwilite.build.bootstrap_archive import Prebuilt
from kiwilite.build.executor import Site, Watcher, execute, with_keys
from kiwilite.build.store import Store
from kiwilite.description.model import Appliance
from kiwilite.errors import UsageError
from kiwilite.plan.compile import package_list_node
from kiwilite.plan.lock import Locked
from kiwilite.plan.references import plain
from kiwilite.plan.selection import Archived, RepositoryState, Selection, package_of
from kiwilite.plan.trees import RESOLVE, apt_sources


@dataclass(frozen=True, slots=True)
class Chosen:
    """The packages, and what they were chosen from.

    `locked` where a lock says all this, else `pin` is the time of the choice, in seconds since
    1970.
    """

    selection: Selection
    archive: Prebuilt | None
    repositories: tuple[RepositoryState, ...]
    locked: Locked | None = None
    pin: str | None = None

    @property
    def archive_path(self) -> Path | None:
        """The prebuilt archive to start from."""
        return self.archive.path if self.archive else None


def pin_of(appliance: Appliance, store: Store, *, renew: bool) -> str:
    """What stands for the state of the repositories; a new one with `renew`."""
    subject = json.dumps([plain(s) for s in apt_sources(appliance)], sort_keys=True)
    name, _ = store.pin(hashlib.sha256(subject.encode()).hexdigest()[:32], renew=renew)
    return name


def choose(appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool) -> Chosen:
    """The packages of the lock beside the description, else of the last selection, else anew.

    Raises what is wrong with the lock, UsageError for `refresh` where there is one, and
    whatever apt complains about.
    """
    locked = lock_file.locked_for(appliance)
    if locked is None:
        return resolve(appliance, site, watcher, pin=pin_of(appliance, site.store, renew=refresh))
    if refresh:
        raise UsageError(
            "--refresh has no say where there is an appliance.lock",
            hint="--update-lock selects packages anew and locks them",
        )
    archive = lock_file.archive_for(appliance, locked, site, watcher)
    return Chosen(locked.dated, archive, locked.repositories, locked)


def without_archive(
    appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool
) -> Selection:
    """The packages of a tree that is made from packages, whatever archive there is.

    Those of the lock, if it has them. Raises as `choose` does.
    """
    locked = lock_file.locked_for(appliance)
    if locked is not None and locked.archive is None and not refresh:
        return locked.dated
    pin = pin_of(appliance, site.store, renew=refresh)
    return _selection(resolution(appliance, site, watcher, pin=pin, archive=None))


def resolve(appliance: Appliance, site: Site, watcher: Watcher, *, pin: str) -> Chosen:
    """Ask apt, whatever a lock says. Raises SourceUnreachable, StageFailed."""
    archive = bootstrap_archive.find(appliance, site, watcher, pin=pin)
    return _chosen(resolution(appliance, site, watcher, pin=pin, archive=archive), archive, pin)


def resolution(
    appliance: Appliance, site: Site, watcher: Watcher, *, pin: str, archive: Prebuilt | None
) -> Mapping[str, Any]:
    """What the step `ResolvePackages` says, taken from the store or made."""
    node = package_list_node(
        appliance, bootstrap_archive=archive.path if archive else None, pin=pin
    )
    keyed = with_keys([node], site.store)
    execute(keyed, [RESOLVE], site, watcher)
    return _read(keyed.output(site.store, RESOLVE))


def known(appliance: Appliance, site: Site) -> Chosen | None:
    """What `choose` would give without a refresh, if that is known without running anything."""
    locked = lock_file.locked_for(appliance)
    if locked is not None:
        archive = lock_file.known_archive(appliance, locked, site)
        return Chosen(locked.dated, archive, locked.repositories, locked)
    pin = pin_of(appliance, site.store, renew=False)
    archive = bootstrap_archive.known(appliance, site, pin=pin)
    node = package_list_node(
        appliance, bootstrap_archive=archive.path if archive else None, pin=pin
    )
    key = with_keys([node], site.store).keys[RESOLVE]
    if site.store.find(key) is None:
        return None
    return _chosen(_read(site.store.output(key)), archive, pin)


def _chosen(data: Mapping[str, Any], archive: Prebuilt | None, pin: str) -> Chosen:
    states = tuple(RepositoryState(**row) for row in data["repositories"])
    return Chosen(_selection(data), archive, states, pin=pin)


def _selection(data: Mapping[str, Any]) -> Selection:
    return Selection(
        bootstrap=tuple(package_of(row) for row in data["bootstrap"]),
        image=tuple(package_of(row) for row in data["image"]),
        archived=tuple(Archived(**row) for row in data["archived"]),
    )


def _read(folder: Path) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads((folder / "packages.json").read_text())
    return data
