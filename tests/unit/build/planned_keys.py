"""Keys of a description's steps as a build in a new process has them, on any host."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kiwilite.build import bootstrap_archive, image, lock_file, manifest, selecting
from kiwilite.build.beside import digest, read
from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Keyed, Site, with_keys
from kiwilite.build.kinds import KINDS
from kiwilite.build.store import Store
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.plan.compile import package_list_node
from kiwilite.plan.lock import Locked, LockedArchive, LockedTool, question, selection_name
from kiwilite.plan.nodes import Node, Plan
from kiwilite.plan.references import plain, sources_of
from kiwilite.plan.selection import PackageFile, Place, Selection, package_data
from kiwilite.plan.tree_steps import ResolvePackages

MIRRORS = {
    "debian": "http://mirror.invalid/debian",
    "debian-security": "http://mirror.invalid/debian-security",
}


class Nobody:
    """A watcher of steps, none of which may run."""

    def started(self, node: Node) -> None:
        raise AssertionError(f"{node.name} was started")

    def written(self, node: Node, out: Path) -> None:
        raise AssertionError(f"{node.name} has {out}")

    def finished(self, node: Node, seconds: float) -> None:
        raise AssertionError(f"{node.name} was finished")

    def waiting(self, node: Node) -> None:
        raise AssertionError(f"{node.name} was waited for")

    def shared(self, node: Node) -> None:
        raise AssertionError(f"{node.name} came from another build")

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
    if not lock_file.lock_path(appliance).exists():
        select(appliance, site)
    plan, keyed = image.planned(appliance, site, Nobody(), refresh=False, tell=print)
    return appliance, plan, keyed


def select(appliance: Appliance, site: Site) -> None:
    """Put apt's answer into the store, unless it is there: what was asked for, and no more.

    Other sources have other versions of everything.
    """
    pin = selecting.pin_of(appliance, site, renew=False)
    archive = bootstrap_archive.known(appliance, site, pin=pin)
    path = archive.path if archive else None
    node = package_list_node(appliance, bootstrap_archive=path, pin=pin)
    key = with_keys([node], site).keys[node.name]
    if site.store.find(key) is not None:
        return
    step = node.step
    assert isinstance(step, ResolvePackages)
    asked = plain((step.sources, step.recommends, step.architecture))
    digests = {str(s.path): digest(read(s)) for s in sources_of(step.sources)}
    version = hashlib.sha256(json.dumps([asked, digests]).encode()).hexdigest()
    answer = {
        "archived": [],
        "bootstrap": [] if path else [_row(name, version) for name in sorted({*step.bootstrap})],
        "image": [_row(name, version) for name in sorted({*step.packages})],
        "large": [name for name in sorted({*step.packages}) if name.startswith("linux-")],
        "repositories": [],
    }
    with site.store.making(key) as made:
        (made / "out/packages.json").write_text(json.dumps(answer))
        manifest.write(made)
        site.store.keep(made, key, {})


def lock(folder: Path, change: Callable[[Selection], Selection] = lambda chosen: chosen) -> None:
    """Lock what `planned` installs without profiles, with a `change`. Tools are called as digests.

    Raises KiwiliteError.
    """
    appliance, _ = load(folder, (), arch="x86_64")
    site = Site(store_beside(folder), MIRRORS)
    select(appliance, site)
    chosen = selecting.known(appliance, site)
    assert chosen is not None
    wanted, path = appliance.packages.bootstrap_package, chosen.archive_path
    locked = Locked(
        question=question(appliance),
        repositories=(),
        archive=LockedArchive(wanted.name, digest_file(path), None) if wanted and path else None,
        selection=change(chosen.selection),
        tools=tuple(LockedTool(n, "1", n) for n in {t for k in KINDS.values() for t in k.tools}),
    )
    lock_file.put(lock_file.lock_path(appliance), selection_name(appliance), locked, site)


def _row(name: str, version: str) -> dict[str, Any]:
    sha256 = hashlib.sha256(f"{name} {version}".encode()).hexdigest()
    place = Place("distro:debian", "trixie/main", None, f"pool/{name}.deb")
    return package_data(PackageFile(name, version, "amd64", 1000, sha256, 4096, place))


def make_entries(keyed: Keyed, store: Store) -> None:
    """Put an empty result of every step into the store that has none there."""
    for key in keyed.keys.values():
        if store.find(key) is not None:
            continue
        with store.making(key) as folder:
            manifest.write(folder)
            store.keep(folder, key, {})
