"""Which packages a build installs: those of its lock, else what apt chose at some time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiwilite.build import bootstrap_archive, lock_file, package_files
from kiwilite.build.bootstrap_archive import Prebuilt
from kiwilite.build.executor import Site, Watcher, execute, with_keys
from kiwilite.build.host import ToolDigests
from kiwilite.build.local_state import state_of
from kiwilite.build.mirrors import address_of
from kiwilite.build.sources import local_folders
from kiwilite.description.model import Appliance
from kiwilite.errors import UsageError
from kiwilite.plan.compile import package_list_node
from kiwilite.plan.lock import Locked
from kiwilite.plan.nodes import Node
from kiwilite.plan.selection import Archived, RepositoryState, Selection, package_of
from kiwilite.plan.tree_steps import AptSource
from kiwilite.plan.trees import apt_sources


@dataclass(frozen=True, slots=True)
class Chosen:
    """The packages, and what they were chosen from.

    `locked` where a lock says all this, else `steps` is the one that asked apt.
    """

    selection: Selection
    archive: Prebuilt | None
    repositories: tuple[RepositoryState, ...]
    locked: Locked | None = None
    steps: tuple[Node, ...] = ()

    @property
    def archive_path(self) -> Path | None:
        """The prebuilt archive to start from."""
        return self.archive.path if self.archive else None


def pin_of(appliance: Appliance, site: Site, *, renew: bool) -> str:
    """What stands for the state of the repositories; a new one with `renew`.

    Another mirror may have another state, and so has another pin. Of a folder of this host
    the state itself is part of the pin, behind the time. Where the description stands is not.
    """
    return pin_for(apt_sources(appliance), site, renew=renew)


def pin_for(sources: Sequence[AptSource], site: Site, *, renew: bool) -> str:
    """The same for any sources."""
    rows = [
        [
            s.uri,
            address_of(s.uri, s.snapshot, site.mirrors, site.snapshots),
            s.suite,
            s.components,
            s.architectures,
        ]
        for s in sources
    ]
    subject = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:32]
    tools = ToolDigests(site.store.tools)
    folders = (state_of(f, tools)[:16] for f in local_folders(sources))
    return "-".join([site.store.pin(subject, renew=renew), *folders])


def choose(appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool) -> Chosen:
    """The packages of the lock beside the description, else of the last selection, else anew.

    Raises what is wrong with the lock, UsageError for `refresh` where there is one, and
    whatever apt complains about. The cache keeps what was chosen as long as builds choose it.
    """
    chosen = _choose(appliance, site, watcher, refresh=refresh)
    selection = chosen.selection
    package_files.use(site.store.packages, (*selection.bootstrap, *selection.image))
    return chosen


def _choose(appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool) -> Chosen:
    locked = lock_file.locked_for(appliance)
    if locked is None:
        return resolve(appliance, site, watcher, pin=pin_of(appliance, site, renew=refresh))
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
    pin = pin_of(appliance, site, renew=refresh)
    return _selection(answer(_node(appliance, None, pin), site, watcher))


def resolve(appliance: Appliance, site: Site, watcher: Watcher, *, pin: str) -> Chosen:
    """Ask apt, whatever a lock says. Raises SourceUnreachable, StageFailed."""
    archive = bootstrap_archive.find(appliance, site, watcher, pin=pin)
    node = _node(appliance, archive, pin)
    return _chosen(answer(node, site, watcher), archive, node)


def _node(appliance: Appliance, archive: Prebuilt | None, pin: str) -> Node:
    path = archive.path if archive else None
    return package_list_node(appliance, bootstrap_archive=path, pin=pin)


def answer(node: Node, site: Site, watcher: Watcher) -> Mapping[str, Any]:
    """What the step `ResolvePackages` says, taken from the store or made."""
    keyed = with_keys([node], site)
    execute(keyed, [node.name], site, watcher, read=[node.name])
    return _read(keyed.output(site.store, node.name))


def known_answer(node: Node, site: Site) -> Mapping[str, Any] | None:
    """The same, if the store has it."""
    found = site.store.find(with_keys([node], site).keys[node.name])
    return None if found is None else _read(found)


def known(appliance: Appliance, site: Site) -> Chosen | None:
    """What `choose` would give without a refresh, if that is known without running anything."""
    locked = lock_file.locked_for(appliance)
    if locked is not None:
        archive = lock_file.known_archive(appliance, locked, site)
        return Chosen(locked.dated, archive, locked.repositories, locked)
    pin = pin_of(appliance, site, renew=False)
    archive = bootstrap_archive.known(appliance, site, pin=pin)
    node = _node(appliance, archive, pin)
    data = known_answer(node, site)
    return None if data is None else _chosen(data, archive, node)


def _chosen(data: Mapping[str, Any], archive: Prebuilt | None, node: Node) -> Chosen:
    return Chosen(_selection(data), archive, states_in(data), steps=(node,))


def states_in(data: Mapping[str, Any]) -> tuple[RepositoryState, ...]:
    """The repositories that an answer is from."""
    return tuple(RepositoryState(**row) for row in data["repositories"])


def _selection(data: Mapping[str, Any]) -> Selection:
    return Selection(
        bootstrap=tuple(package_of(row) for row in data["bootstrap"]),
        image=tuple(package_of(row) for row in data["image"]),
        archived=tuple(Archived(**row) for row in data["archived"]),
        large=tuple(data["large"]),
    )


def _read(folder: Path) -> Mapping[str, Any]:
    data: Mapping[str, Any] = json.loads((folder / "packages.json").read_text())
    return data
