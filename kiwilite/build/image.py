"""From a resolved appliance to files in a target folder."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kiwilite.build import bootstrap_archive
from kiwilite.build.configuration import Configuration
from kiwilite.build.executor import Keyed, Site, Watcher, execute, missing, with_keys
from kiwilite.build.host import ToolDigests
from kiwilite.build.local_state import state_of
from kiwilite.build.mirrors import host_mirrors, is_local, resolve
from kiwilite.build.places import placed
from kiwilite.build.publish import is_up_to_date, publish, remember
from kiwilite.build.record import last_build, records_of, remember_build
from kiwilite.build.sandbox import Bind
from kiwilite.build.sources import local_folders
from kiwilite.build.store import Store, default_store
from kiwilite.build.why import Reason, why
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError, UsageError
from kiwilite.plan.compile import compile
from kiwilite.plan.nodes import Plan
from kiwilite.plan.trees import apt_sources


@dataclass(frozen=True, slots=True)
class Result:
    """What a build gave: the files, and whether anything had to be done for them."""

    target: Path
    files: Mapping[str, Path]
    """By kind: raw, qcow2, efi, roothash, packages."""
    geometry: Mapping[str, Any]
    """Of the disk that was published; empty where nothing had to be done."""
    changed: bool
    packages_age: float
    """Seconds since the packages were selected."""


def site_for(appliance: Appliance, configuration: Configuration) -> Site:
    """Store and mirrors of this host. Raises where a `distro:` source has no mirror."""
    store = Store((configuration.store or default_store()).absolute())
    store.create()
    mirrors = host_mirrors(configuration.mirrors)
    sources = apt_sources(appliance)
    for repository in appliance.repositories:
        folder = is_local(repository.path)
        if folder is not None and not folder.is_dir():
            raise KiwiliteError(f"there is no folder {folder}", where=str(repository.span))
        try:
            resolve(repository.path, mirrors)
        except KiwiliteError as error:
            error.where = str(repository.span)
            raise
    return Site(store, mirrors, tuple(Bind(str(f)) for f in local_folders(sources)))


def source_date_epoch() -> int | None:
    """SOURCE_DATE_EPOCH of the environment; UsageError where it is not a number."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return None
    if not text.isdigit():
        raise UsageError(f"SOURCE_DATE_EPOCH is {text!r}, not a number of seconds")
    return int(text)


def pin_of(appliance: Appliance, site: Site, *, renew: bool) -> str:
    """What stands for the state of the repositories; a new one with `renew`.

    Another mirror may have another state, and so has another pin. Of a folder of this host
    the state itself is part of the pin. Where the description stands is not.
    """
    sources = apt_sources(appliance)
    rows = [
        [s.uri, resolve(s.uri, site.mirrors), s.suite, s.components, s.architectures]
        for s in sources
    ]
    subject = json.dumps(rows)
    name, _ = site.store.pin(hashlib.sha256(subject.encode()).hexdigest()[:32], renew=renew)
    tools = ToolDigests(site.store.tools)
    return "-".join([name, *(state_of(f, tools)[:16] for f in local_folders(sources))])


def planned(
    appliance: Appliance,
    site: Site,
    watcher: Watcher,
    *,
    refresh: bool,
    tell: Callable[[str], None],
) -> tuple[Plan, Keyed]:
    """The plan with all keys. Finds (or makes) the bootstrap archive the plan starts from."""
    epoch = source_date_epoch()
    pin = pin_of(appliance, site, renew=refresh)
    archive = bootstrap_archive.locate(appliance, site, watcher, epoch=epoch, pin=pin, tell=tell)
    plan = compile(appliance, bootstrap_archive=archive, epoch=epoch, pin=pin, mirrors=site.mirrors)
    return plan, with_keys(plan.nodes, site.store)


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
    with placed(appliance, site.mirrors):
        plan, keyed = planned(appliance, site, watcher, refresh=refresh, tell=tell)
        sources = _published(plan, keyed, site.store)
        names = {kind: f"{plan.file_name}.{kind}" for kind in sources}
        identity = {kind: keyed.keys[node] for kind, (node, _) in sources.items()}
        changed = not is_up_to_date(target, identity, site.store)
        read = {node for node, _ in sources.values()} if changed else ()
        execute(keyed, wanted_nodes(plan), site, watcher, read=sorted(read))
    if changed:
        publish(plan, {k: path for k, (_, path) in sources.items()}, names, target)
        remember(target, identity, [*names.values()], site.store)
    remember_build(keyed, appliance, site.store)
    selected = (site.store.entries / keyed.keys["packages"] / "about.json").stat().st_mtime
    return Result(
        target=target,
        files={kind: target / name for kind, name in names.items()},
        geometry=_geometry(keyed.output(site.store, plan.disk)) if changed else {},
        changed=changed,
        packages_age=time.time() - selected,
    )


def _geometry(disk: Path) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads((disk / "geometry.json").read_text())
    return found


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
    """The plan with all keys, without making anything.

    Where the bootstrap archive is not there yet, the tree is shown as made from packages.
    """
    epoch = source_date_epoch()
    pin = pin_of(appliance, site, renew=False)
    archive = bootstrap_archive.known(appliance, site, epoch=epoch, pin=pin)
    plan = compile(appliance, bootstrap_archive=archive, epoch=epoch, pin=pin, mirrors=site.mirrors)
    return plan, with_keys(plan.nodes, site.store)
