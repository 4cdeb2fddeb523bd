"""Carries out a plan: finds what the store has, makes what it lacks, in the right order."""

from __future__ import annotations

import concurrent.futures as cf
import graphlib
import os
import pickle
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from kiwilite.build import manifest
from kiwilite.build.beside import take
from kiwilite.build.children import attended, begin, end_all, may_start
from kiwilite.build.host import ToolDigests
from kiwilite.build.inside import FULL
from kiwilite.build.job import STORE, Job
from kiwilite.build.keys import Ingredients, ingredients_of, kind_of, takes_tools
from kiwilite.build.kinds import ToolsFrom
from kiwilite.build.manifest import Depth
from kiwilite.build.network import Network
from kiwilite.build.sandbox import Bind, run_inside
from kiwilite.build.starter import Call, Standby, Starter
from kiwilite.build.step_failure import no_space, step_failure
from kiwilite.build.store import Store, give_to_namespace, remove_tree
from kiwilite.build.toolset import Toolset
from kiwilite.build.uses import Uses
from kiwilite.build.vetting import (
    Damage,
    Damaged,
    Vetting,
    begin_vetting,
    demand_sound_files,
)
from kiwilite.errors import KiwiliteError
from kiwilite.plan.nodes import Node
from kiwilite.plan.references import outputs_of, sources_of


class Watcher(Protocol):
    """Is told what happens, for progress on a terminal."""

    def started(self, node: Node) -> None: ...
    def written(self, node: Node, out: Path) -> None:
        """The step has ended, and its files are as they will be, for now in `out`.

        They can be opened; a moment later they stand where the store has them. They count once
        `finished` was called, and where it is not, the step may be carried out once more.
        """

    def finished(self, node: Node, seconds: float) -> None: ...
    def waiting(self, node: Node) -> None: ...
    def shared(self, node: Node) -> None: ...
    def damaged(self, node: Node, found: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Keyed:
    """The nodes of a plan with the key of each, and what it is made from."""

    nodes: tuple[Node, ...]
    keys: Mapping[str, str]
    ingredients: Mapping[str, Ingredients]

    def entry(self, store: Store, name: str) -> Path:
        """Folder of all that is kept with the result of the node called `name`."""
        return store.entries / self.keys[name]

    def output(self, store: Store, name: str) -> Path:
        """Folder of the result of the node called `name`."""
        return store.output(self.keys[name])


@dataclass(frozen=True, slots=True)
class Site:
    """Where and with what a build works on this host."""

    store: Store
    mirrors: Mapping[str, str]
    extra_binds: tuple[Bind, ...] = ()
    snapshots: Mapping[str, str] = field(default_factory=dict)
    network: Network = "online"
    uses: Uses = field(default_factory=Uses)
    """The entries that this run holds."""
    tools_from: ToolsFrom = "host"
    tools: Toolset | None = None
    """The tree that tools come from, once its packages are known; None: the host."""
    standby: Standby = field(default_factory=Standby)
    """Where runs get their starter from."""


def with_keys(nodes: Sequence[Node], site: Site) -> Keyed:
    """Compute every key; nodes must stand after what they read."""
    tools = ToolDigests(site.store.tools, site.tools.identity if site.tools else None)
    keys: dict[str, str] = {}
    ingredients: dict[str, Ingredients] = {}
    for node in nodes:
        ingredients[node.name] = ingredients_of(node, keys, tools)
        keys[node.name] = ingredients[node.name].key
    return Keyed(tuple(nodes), keys, ingredients)


def missing(keyed: Keyed, wanted: Sequence[str], store: Store) -> tuple[Node, ...]:
    """The nodes that have to run so that the results of `wanted` are there."""
    by_name = {n.name: n for n in keyed.nodes}
    needed: set[str] = set()
    pending = list(wanted)
    while pending:
        name = pending.pop()
        if name in needed or store.find(keyed.keys[name]) is not None:
            continue
        needed.add(name)
        pending += outputs_of(by_name[name].step)
    return tuple(n for n in keyed.nodes if n.name in needed)


def read_by(keyed: Keyed, todo: Collection[str], read: Sequence[str]) -> dict[str, Depth]:
    """Which results of the store are read when the steps `todo` run and the caller reads `read`.

    A step on the host has plain files only, one in the namespace sees trees.
    """
    depths: dict[str, Depth] = {name: "files" for name in read if name not in todo}
    for node in (n for n in keyed.nodes if n.name in todo):
        for name in (o for o in outputs_of(node.step) if o not in todo):
            whole = kind_of(node).place == "namespace" or depths.get(name) == "whole"
            depths[name] = "whole" if whole else "files"
    return depths


def execute(
    keyed: Keyed, wanted: Sequence[str], site: Site, watcher: Watcher, *, read: Sequence[str] = ()
) -> None:
    """Make all that is missing for `wanted`, independent steps side by side.

    The results `read`, whose files the caller will read, are sound then. All entries of
    `keyed` are held until `site.uses` lets go of them. What is read and was damaged is made
    again, with what was being made of it. The first failure lets running steps end, starts
    no more, and is raised.
    """
    store, uses = site.store, site.uses
    while True:
        uses.hold(store.entries / key for key in keyed.keys.values())
        todo = {n.name: n for n in missing(keyed, [*wanted, *read], store)}
        depths = {
            keyed.entry(store, name): depth
            for name, depth in read_by(keyed, todo, read).items()
            if not uses.trusts(keyed.entry(store, name), depth)
        }
        if not todo and not depths:
            return
        tools = _make_tools(todo, site, watcher)
        if tools is not None and not uses.trusts(tools, "whole"):
            depths[tools] = "whole"
        try:
            if todo:
                _run(_Work(todo, keyed, site, tools), depths, watcher)
            else:
                demand_sound_files(depths)  # what the caller reads, which is never a tree
        except Damaged as error:
            _give_up(error.damage, keyed, site, watcher)
        else:
            for entry, depth in depths.items():
                uses.trust(entry, depth)
            return


def _keyed_tools(tools: Toolset, site: Site) -> Keyed:
    """The tree with its key; it is made with the host's tools."""
    return with_keys([tools.node], replace(site, tools=None))


def _make_tools(todo: Mapping[str, Node], site: Site, watcher: Watcher) -> Path | None:
    """Make the tree that steps of `todo` take their tools from, unless the store has it.

    Its entry; None where none of them does.
    """
    if site.tools is None or not any(takes_tools(node) for node in todo.values()):
        return None
    keyed, name = _keyed_tools(site.tools, site), site.tools.node.name
    execute(keyed, [name], replace(site, tools=None), watcher)
    return keyed.entry(site.store, name)


def _give_up(damage: Damage, keyed: Keyed, site: Site, watcher: Watcher) -> None:
    """Remove damaged entries, unless another build did so first and made them again."""
    tools = _keyed_tools(site.tools, site) if site.tools else Keyed((), {}, {})
    by_key = {k.keys[node.name]: node for k in (tools, keyed) for node in k.nodes}
    for entry, found in damage.items():
        with site.store.lock(entry.name):
            if site.uses.let_go(entry):
                watcher.damaged(by_key[entry.name], found)
                site.store.discard(entry.name)


@dataclass(frozen=True, slots=True)
class _Work:
    """The steps `todo` of a plan, and where and with what they run."""

    todo: Mapping[str, Node]
    keyed: Keyed
    site: Site
    tools: Path | None
    """Entry of the tree that tools come from; None where no step takes any from there."""

    def tools_of(self, node: Node) -> Path | None:
        """The entry of the tree that the node's tools come from; None: they are the host's."""
        return self.tools if takes_tools(node) else None


def _run(work: _Work, depths: Mapping[Path, Depth], watcher: Watcher) -> None:
    """Run the steps and examine meanwhile what they read. Raises Damaged."""
    todo, site = work.todo, work.site
    begin()
    site.store.sweep()
    site.uses.hold([site.store.packages])
    graph = {n: [o for o in outputs_of(node.step) if o in todo] for n, node in todo.items()}
    order = graphlib.TopologicalSorter(graph)
    order.prepare()
    workers = max(2, os.cpu_count() or 2)
    with (
        site.standby.serving() as starter,
        cf.ThreadPoolExecutor(workers) as pool,
        cf.ThreadPoolExecutor(workers) as examiners,
    ):
        running: dict[cf.Future[None], str] = {}
        # To read what was noted of a large tree keeps this process from everything else for
        # some time, which it has once a step is at work.
        at_work = threading.Event()
        try:
            vetting = begin_vetting(depths, examiners, starter, at_work)
            while order.is_active():
                for name in order.get_ready():
                    making = _Making(todo[name], work, starter, at_work)
                    running[pool.submit(_make, making, watcher, vetting)] = name
                _wait_for_one(running, order)
            at_work.set()
            vetting.demand_all_sound()
        except (KiwiliteError, Damaged):
            for future in running:
                future.cancel()
            raise
        except BaseException:
            end_all()
            examiners.shutdown(wait=False, cancel_futures=True)
            for future in running:
                future.cancel()
            raise
        finally:
            at_work.set()  # where there was nothing to do, or no way to


def _wait_for_one(
    running: dict[cf.Future[None], str], order: graphlib.TopologicalSorter[str]
) -> None:
    """Wait until a step has ended; raises what it raised."""
    done, _ = cf.wait(running, return_when=cf.FIRST_COMPLETED)
    for future in done:
        name = running.pop(future)
        future.result()
        order.done(name)


@dataclass(frozen=True, slots=True)
class _Making:
    """A step that runs."""

    node: Node
    work: _Work
    starter: Starter
    at_work: threading.Event
    """Set by the first step whose process was started."""

    @property
    def entry(self) -> Path:
        return self.work.keyed.entry(self.work.site.store, self.node.name)


def _make(making: _Making, watcher: Watcher, vetting: Vetting) -> None:
    node, store, uses = making.node, making.work.site.store, making.work.site.uses
    key = making.work.keyed.keys[node.name]
    with store.lock(key, lambda: watcher.waiting(node)):
        if store.find(key) is not None:
            uses.hold([making.entry])
            watcher.shared(node)
            return
        watcher.started(node)
        begun = time.monotonic()
        try:
            with store.making(key) as folder:
                _carry_out_on_sound(making, folder, vetting)
                watcher.written(node, folder / "out")
                if kind_of(node).place == "host":
                    manifest.write(folder)
                seconds = time.monotonic() - begun
                store.keep(folder, key, _about(node, seconds))
                uses.hold([making.entry])
                uses.trust(making.entry)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise no_space(node, store) from error
        watcher.finished(node, seconds)


def _about(node: Node, seconds: float) -> dict[str, object]:
    return {
        "step": node.name,
        "title": node.title,
        "seconds": round(seconds, 3),
        "place": kind_of(node).place,
    }


def _carry_out_on_sound(making: _Making, folder: Path, vetting: Vetting) -> None:
    """Carry a step out; raises Damaged where what it read was not sound, however it ended."""
    work, node = making.work, making.node
    inputs = [work.keyed.entry(work.site.store, name) for name in outputs_of(node.step)]
    if (tools := work.tools_of(node)) is not None:
        inputs.append(tools)
    try:
        _carry_out(making, folder)
    except KiwiliteError:
        vetting.demand_sound(inputs)
        raise
    vetting.demand_sound(inputs)


def _carry_out(making: _Making, folder: Path) -> None:
    node, site = making.node, making.work.site
    kind = kind_of(node)
    job = _job(node, making.work, folder)
    job_file = folder / "job"
    job_file.touch(mode=0o600)  # a step may hold a passphrase
    job_file.write_bytes(pickle.dumps((kind.module, node.step, job)))
    call = Call("kiwilite.build.inside", (str(job_file), kind.place), imports=(kind.module,))
    may_start()
    with job.log.open("ab") as log:
        if kind.place == "namespace":
            give_to_namespace(folder)
            binds = _binds(job, folder, site)
            making.at_work.set()
            status = run_inside(
                call, binds=binds, log=log, starter=making.starter, network=site.network
            ).status
        else:
            child = making.starter.start(call, log=log.fileno())
            making.at_work.set()
            with attended(child):
                status = child.wait()
    if status != 0:
        raise step_failure(node, folder, status, site.store)
    for name in ("job", "sources", "scratch"):
        path = folder / name
        remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _binds(job: Job, folder: Path, site: Site) -> list[Bind]:
    """What a step in the namespace sees of the store, and what the host adds."""
    binds = [Bind(str(folder), "read-write"), Bind(str(site.store.packages), "read-write")]
    binds += [Bind(str(path.parent)) for path in job.outputs.values()]
    binds += [Bind(str(job.store), "read-write", str(STORE))] if job.store else []
    # All of them: a single one may be removed before it is bound.
    binds += [Bind(str(site.store.entries))] if job.earlier else []
    binds += [Bind(str(job.tools))] if job.tools else []
    return [*binds, *site.extra_binds]


def _job(node: Node, work: _Work, folder: Path) -> Job:
    keyed, site, tools = work.keyed, work.site, work.tools_of(node)
    known = keyed.ingredients[node.name].sources
    sources = take(sources_of(node.step), folder / "sources", known)
    (folder / "scratch").mkdir()
    (folder / "log").touch()
    kind = kind_of(node)
    reuses = kind.reuses
    return Job(
        title=node.title,
        out=folder / "out",
        scratch=folder / "scratch",
        log=folder / "log",
        outputs={n: keyed.output(site.store, n) for n in outputs_of(node.step)},
        sources=sources,
        cache=site.store.packages,
        mirrors=site.mirrors,
        earlier=site.store.newest_with(reuses) if reuses else (),
        snapshots=site.snapshots,
        network=site.network,
        tools=tools / "out" / "tree" if tools else None,
        store=site.store.root if kind.links else None,
    )
