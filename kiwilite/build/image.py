"""From a resolved appliance to files in a target folder."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiwilite.build import bootstrap_archive, selecting, tools_tree
from kiwilite.build.configuration import Configuration
from kiwilite.build.executor import Keyed, Site, Watcher, execute, missing, with_keys
from kiwilite.build.kinds import AFTER_ANY_CHANGE, ToolsFrom
from kiwilite.build.lock_file import lock_path
from kiwilite.build.mirrors import DISTRO, address_of, host_mirrors, is_local
from kiwilite.build.network import Network
from kiwilite.build.places import placed
from kiwilite.build.publish import Publication, is_up_to_date, remember
from kiwilite.build.record import last_build, records_of, remember_build, seems_changed
from kiwilite.build.sandbox import Bind
from kiwilite.build.selecting import choose
from kiwilite.build.sources import local_folders
from kiwilite.build.store import Store, default_store
from kiwilite.description.model import Appliance, Repository
from kiwilite.description.snapshot import PLACE
from kiwilite.errors import KiwiliteError, UsageError
from kiwilite.plan.compile import compile
from kiwilite.plan.nodes import Node, Plan
from kiwilite.plan.selection import Packages, Unselected, moment_of
from kiwilite.plan.trees import BOOTSTRAP, apt_sources

if TYPE_CHECKING:
    from kiwilite.build.why import Reason


@dataclass(frozen=True, slots=True)
class Result:
    """What a build gave: the files, and whether anything had to be done for them."""

    target: Path
    files: Mapping[str, Path]
    """By kind: raw, qcow2, efi, roothash, packages."""
    geometry: Mapping[str, Any]
    """Of the disk that was published; empty where nothing had to be done."""
    changed: bool
    packages_age: float | None
    """Seconds since the packages were selected; None where a lock says which they are."""


def site_for(
    appliance: Appliance,
    configuration: Configuration,
    network: Network = "online",
    tools_from: ToolsFrom | None = None,
) -> Site:
    """Store, mirrors and tools of this host; `tools_from` wins over the configuration.

    Raises where a `distro:` source has no mirror, and where tools cannot see the store.
    """
    store = Store((configuration.store or default_store()).absolute())
    tools_from = tools_from or configuration.tools
    if tools_from == "tree":
        tools_tree.check_place(store)
    store.create()
    mirrors = host_mirrors(configuration.mirrors)
    if tools_from == "tree":
        address_of(tools_tree.SOURCE.uri, None, mirrors, {})
    sources = apt_sources(appliance)
    for repository in appliance.repositories:
        folder = is_local(repository.address)
        if folder is not None and not folder.is_dir():
            raise KiwiliteError(f"there is no folder {folder}", where=str(repository.span))
        _check_snapshot(repository)
        try:
            address_of(repository.address, repository.snapshot, mirrors, configuration.snapshots)
        except KiwiliteError as error:
            error.where = str(repository.span)
            raise
    binds = tuple(Bind(str(f)) for f in local_folders(sources))
    return Site(store, mirrors, binds, configuration.snapshots, network, tools_from=tools_from)


def _check_snapshot(repository: Repository) -> None:
    """Raise KiwiliteError where a time has no place in the address, or the place no time."""
    somewhere = PLACE in repository.path or repository.path.startswith(DISTRO)
    if repository.snapshot and not somewhere:
        raise KiwiliteError(
            f"the address {repository.path} has no place for the time of snapshot=",
            where=str(repository.span),
            hint=f"write {PLACE} where the time stands in it, or `distro:NAME`",
        )
    if PLACE in repository.address:
        raise KiwiliteError(
            f"the address {repository.path} has a place for a time, and there is none",
            where=str(repository.span),
            hint='say which: `<source snapshot="20260101T000000Z">`',
        )


def source_date_epoch() -> int | None:
    """SOURCE_DATE_EPOCH of the environment; UsageError where it is not a number."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds")
    return int(text)


def planned(
    appliance: Appliance,
    site: Site,
    watcher: Watcher,
    *,
    refresh: bool,
    tell: Callable[[str], None],
) -> tuple[Plan, Keyed]:
    """The plan with all keys, and that of the step that selected its packages, if one did.

    Selects packages where no lock and no earlier build has, and finds the bootstrap archive
    the plan starts from. Where there is none, it starts from the tree that would be in it:
    packed and unpacked that is the same. An archive is then made only where the description
    states its digest.
    """
    epoch = source_date_epoch()
    chosen = choose(appliance, site, watcher, refresh=refresh)
    plan = compile(
        appliance,
        bootstrap_archive=chosen.archive_path,
        epoch=epoch,
        packages=chosen.selection,
        mirrors=site.mirrors,
    )
    if chosen.locked is not None:
        from kiwilite.build.locking import other_tools

        if warning := other_tools(plan, chosen.locked, site):
            tell(warning)
    keyed = with_keys((*chosen.steps, *plan.nodes), site)
    wanted = appliance.packages.bootstrap_package
    if wanted is not None and chosen.archive is None:
        if wanted.digest is not None:
            bootstrap_archive.make(appliance, site, watcher, epoch=epoch, packages=chosen.selection)
        if site.store.find(keyed.keys[BOOTSTRAP]) is None:
            tell(
                f"bootstrap archive {wanted.name}: found nowhere, its tree is made from the "
                "description's own list"
            )
    return plan, keyed


def bootstrap(appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool) -> Path:
    """Make the bootstrap archive from the description's own packages. Raises as `build` does."""
    with placed(appliance, site):
        site = tools_tree.equipped(appliance, site, watcher, refresh=refresh)
        packages = selecting.without_archive(appliance, site, watcher, refresh=refresh)
        return bootstrap_archive.make(
            appliance, site, watcher, epoch=source_date_epoch(), packages=packages
        )


def wanted_nodes(plan: Plan) -> tuple[str, ...]:
    """The nodes whose results are published."""
    last = (plan.format,) if plan.format else ()
    return (plan.disk, "uki", "customise", "packages", *last)


def build(
    appliance: Appliance,
    site: Site,
    watcher: Watcher,
    target: Path,
    *,
    refresh: bool,
    tell: Callable[[str], None],
) -> Result:
    """Build what is missing and put the results into `target`, each file atomically."""
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is there, and it is not a folder")
    with placed(appliance, site), contextlib.closing(site.standby):
        if seems_changed(appliance, site.store):
            site.standby.prepare(("kiwilite.build.inside", *AFTER_ANY_CHANGE))
        site = tools_tree.equipped(appliance, site, watcher, refresh=refresh)
        plan, keyed = planned(appliance, site, watcher, refresh=refresh, tell=tell)
        sources = _published(plan, keyed, site.store)
        names = {kind: f"{plan.file_name}.{kind}" for kind in sources}
        identity = {kind: keyed.keys[node] for kind, (node, _) in sources.items()}
        changed = not is_up_to_date(target, identity, site.store)
        read = {node for node, _ in sources.values()} if changed else ()
        files = {kind: path for kind, (_, path) in sources.items()}
        # What leaves this host is the disk in the format that was asked for.
        unsummed = ("raw",) if plan.format else ()
        with Publication(files, names, target, unsummed) as publication:
            ready = _Publishing(watcher, publication, sources) if changed else watcher
            execute(keyed, wanted_nodes(plan), site, ready, read=sorted(read))
            remember_build(keyed, appliance, site.store)
            if changed:
                publication.finish(plan)
    if changed:
        remember(target, identity, {names[k]: files[k] for k in unsummed}, site.store)
    return Result(
        target=target,
        files={kind: target / name for kind, name in names.items()},
        geometry=_geometry(keyed.output(site.store, plan.disk)) if changed else {},
        changed=changed,
        packages_age=_age(appliance, site),
    )


@dataclass(frozen=True, slots=True)
class _Publishing:
    """A watcher that has results published as soon as they are made."""

    watcher: Watcher
    publication: Publication
    sources: Mapping[str, tuple[str, Path]]

    def started(self, node: Node) -> None:
        self.watcher.started(node)

    def waiting(self, node: Node) -> None:
        self.watcher.waiting(node)

    def written(self, node: Node, out: Path) -> None:
        self.watcher.written(node, out)
        for kind, path in self._files(node):
            self.publication.put(kind, out / path.name)

    def shared(self, node: Node) -> None:
        self.watcher.shared(node)
        for kind, path in self._files(node):
            self.publication.put(kind, path)

    def _files(self, node: Node) -> list[tuple[str, Path]]:
        return [(kind, path) for kind, (name, path) in self.sources.items() if name == node.name]

    def finished(self, node: Node, seconds: float) -> None:
        self.watcher.finished(node, seconds)

    def damaged(self, node: Node, found: Sequence[str]) -> None:
        self.watcher.damaged(node, found)


def _geometry(disk: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((disk / "geometry.json").read_text())
    return found


def _age(appliance: Appliance, site: Site) -> float | None:
    if lock_path(appliance).exists():
        return None
    return time.time() - moment_of(selecting.pin_of(appliance, site, renew=False))


def _published(plan: Plan, keyed: Keyed, store: Store) -> dict[str, tuple[str, Path]]:
    """Kind of result → the node it comes from, and its file in the store."""
    rows = {
        "raw": (plan.disk, "disk.raw"),
        "efi": ("uki", "uki.efi"),
        "roothash": ("uki", "roothash"),
        "packages": ("customise", "packages"),
    }
    if plan.format:
        rows[plan.format] = (plan.format, f"disk.{plan.format}")
    return {kind: (node, keyed.output(store, node) / name) for kind, (node, name) in rows.items()}


def up_front(keyed: Keyed, plan: Plan, store: Store) -> set[str]:
    """Names of the nodes a build would run."""
    return {n.name for n in missing(keyed, wanted_nodes(plan), store)}


def changed_since(
    appliance: Appliance, keyed: Keyed, to_run: set[str], store: Store
) -> dict[str, tuple[Reason, ...]]:
    """Why each step of `to_run` has to run, in the plan's order: what changed since the last
    build of this description with these profiles."""
    from kiwilite.build.why import Reason, why

    before = last_build(appliance, store)
    now = records_of(keyed, appliance, store)
    if before is None:
        return {n.name: (Reason("no record"),) for n in keyed.nodes if n.name in to_run}
    return {
        n.name: why(before.get(n.name), now[n.name], store.absence(keyed.keys[n.name]))
        for n in keyed.nodes
        if n.name in to_run
    }


def foreseen(appliance: Appliance, site: Site) -> tuple[Plan, Keyed]:
    """The plan with all keys, as `planned` has it, without making anything.

    Where no packages are selected yet, their selection is its first step.
    """
    site = tools_tree.foreseen(appliance, site)
    chosen = selecting.known(appliance, site)
    packages: Packages
    if chosen is None:
        pin = selecting.pin_of(appliance, site, renew=False)
        prebuilt = bootstrap_archive.known(appliance, site, pin=pin)
        packages, archive = Unselected(pin), prebuilt.path if prebuilt else None
    else:
        packages, archive = chosen.selection, chosen.archive_path
    plan = compile(
        appliance,
        bootstrap_archive=archive,
        epoch=source_date_epoch(),
        packages=packages,
        mirrors=site.mirrors,
    )
    return plan, with_keys((*(chosen.steps if chosen else ()), *plan.nodes), site)
