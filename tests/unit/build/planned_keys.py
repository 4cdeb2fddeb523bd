"""Keys of a description's steps as a build in a new process has them, on any host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kiwilite.build import image, manifest
from kiwilite.build.executor import Keyed, Site
from kiwilite.build.store import Store
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.plan.nodes import Node, Plan

MIRRORS = {
    "debian": "http://mirror.invalid/debian",
    "debian-security": "http://mirror.invalid/debian-security",
}


class Nobody:
    """A watcher of steps, none of which may run."""

    def started(self, node: Node) -> None:
        raise AssertionError(f"{node.name} was started")

    def finished(self, node: Node, seconds: float) -> None:
        raise AssertionError(f"{node.name} was finished")

    def damaged(self, node: Node, found: Sequence[str]) -> None:
        raise AssertionError(f"{node.name} was damaged: {found}")


def store_beside(folder: Path) -> Store:
    """A store of the test's own."""
    store = Store(folder.parent / "store")
    store.create()
    return store


def planned(
    folder: Path, *profiles: str, mirrors: Mapping[str, str] = MIRRORS
) -> tuple[Appliance, Plan, Keyed]:
    """What a build of the description in `folder` begins with. Raises KiwiliteError."""
    appliance, _ = load(folder, profiles, arch="x86_64")
    site = Site(store_beside(folder), mirrors)
    plan, keyed = image.planned(appliance, site, Nobody(), refresh=False, tell=print)
    return appliance, plan, keyed


def make_entries(keyed: Keyed, store: Store) -> None:
    """Put an empty result of every step into the store."""
    for key in keyed.keys.values():
        with store.making(key) as folder:
            manifest.write(folder)
            store.keep(folder, key, {})
