"""Carries out a plan: finds what the store has, makes what it lacks, in the right order."""

from __future__ import annotations

import concurrent.futures as cf
import graphlib
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from kiwilite.build.children import attended, begin, end_all, may_start
from kiwilite.build.failure import read
from kiwilite.build.inside import FULL, NO_SPACE_STATUS
from kiwilite.build.job import BASE_ENVIRONMENT, Job
from kiwilite.build.keys import ToolDigests, key_of, kind_of
from kiwilite.build.network import Network
from kiwilite.build.sandbox import Bind, run_inside
from kiwilite.build.store import Store, give_to_namespace, remove_tree
from kiwilite.errors import KiwiliteError, NoSpace, StageFailed
from kiwilite.plan.nodes import Node
from kiwilite.plan.references import outputs_of, sources_of


class Watcher(Protocol):
    """Is told what happens, for progress on a terminal."""

    def started(self, node: Node) -> None: ...
    def finished(self, node: Node, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Keyed:
    """The nodes of a plan with the key of each."""

    nodes: tuple[Node, ...]
    keys: Mapping[str, str]

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


def with_keys(nodes: Sequence[Node], store: Store) -> Keyed:
    """Compute every key; nodes must stand after what they read."""
    tools = ToolDigests(store.root / "tools.json")
    keys: dict[str, str] = {}
    for node in nodes:
        keys[node.name] = key_of(node, keys, tools)
    return Keyed(tuple(nodes), keys)


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


def execute(keyed: Keyed, wanted: Sequence[str], site: Site, watcher: Watcher) -> None:
    """Make all that is missing for `wanted`, independent steps side by side.

    The first failure lets running steps end, starts no more, and is raised.
    """
    todo = {n.name: n for n in missing(keyed, wanted, site.store)}
    if not todo:
        return
    begin()
    site.store.sweep()
    graph = {n: [o for o in outputs_of(node.step) if o in todo] for n, node in todo.items()}
    order = graphlib.TopologicalSorter(graph)
    order.prepare()
    with cf.ThreadPoolExecutor(max_workers=max(2, os.cpu_count() or 2)) as pool:
        running: dict[cf.Future[None], str] = {}
        try:
            while order.is_active():
                for name in order.get_ready():
                    running[pool.submit(_make, todo[name], keyed, site, watcher)] = name
                done, _ = cf.wait(running, return_when=cf.FIRST_COMPLETED)
                for future in done:
                    name = running.pop(future)
                    future.result()
                    order.done(name)
        except KiwiliteError:
            for future in running:
                future.cancel()
            raise
        except BaseException:
            end_all()
            for future in running:
                future.cancel()
            raise


def _make(node: Node, keyed: Keyed, site: Site, watcher: Watcher) -> None:
    key, store = keyed.keys[node.name], site.store
    with store.lock(key):
        if store.find(key) is not None:
            return
        watcher.started(node)
        begun = time.monotonic()
        try:
            with store.making(key) as folder:
                _carry_out(node, keyed, site, folder)
                seconds = time.monotonic() - begun
                about = {"step": node.name, "title": node.title, "seconds": round(seconds, 3)}
                store.keep(folder, key, about)
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise _no_space(node, store) from error
        watcher.finished(node, seconds)


def _no_space(node: Node, store: Store) -> NoSpace:
    return NoSpace(
        f"no space left in the store {store.root}",
        where=f"step {node.name}",
        hint="make room there, then build again: finished steps are kept",
    )


def _carry_out(node: Node, keyed: Keyed, site: Site, folder: Path) -> None:
    kind = kind_of(node)
    job = _job(node, keyed, site, folder)
    job_file = folder / "job"
    job_file.touch(mode=0o600)  # a step may hold a passphrase
    job_file.write_bytes(pickle.dumps((kind.module, node.step, job)))
    command = [sys.executable, "-m", "kiwilite.build.inside", str(job_file)]
    may_start()
    with job.log.open("ab") as log:
        if kind.place == "namespace":
            give_to_namespace(folder)
            binds = [Bind(str(folder), "read-write"), Bind(str(site.store.packages), "read-write")]
            binds += [Bind(str(path)) for path in job.outputs.values()]
            binds += site.extra_binds
            environment = {**BASE_ENVIRONMENT, "PYTHONPATH": _package_folder()}
            status = run_inside(
                command, binds=binds, environment=environment, log=log, network=site.network
            ).status
        else:
            environment = {
                **BASE_ENVIRONMENT,
                "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            }
            child = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            with attended(child):
                status = child.wait()
    if status != 0:
        raise _failure(node, folder, status, site.store)
    for name in ("job", "sources", "scratch"):
        path = folder / name
        remove_tree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _package_folder() -> str:
    """The folder of this package, which need not be installed: a checkout will do."""
    import kiwilite

    return str(Path(kiwilite.__file__).resolve().parent.parent)


def _job(node: Node, keyed: Keyed, site: Site, folder: Path) -> Job:
    sources = {}
    (folder / "sources").mkdir()
    for number, source in enumerate(sources_of(node.step)):
        copy = folder / "sources" / f"{number}" / source.path.name
        copy.parent.mkdir()
        if source.path.is_dir():
            shutil.copytree(source.path, copy, symlinks=True)
        else:
            shutil.copy2(source.path, copy)
        sources[str(source.path)] = copy
    (folder / "scratch").mkdir()
    (folder / "log").touch()
    return Job(
        title=node.title,
        out=folder / "out",
        scratch=folder / "scratch",
        log=folder / "log",
        outputs={n: keyed.output(site.store, n) for n in outputs_of(node.step)},
        sources=sources,
        cache=site.store.packages,
        mirrors=site.mirrors,
        snapshots=site.snapshots,
        network=site.network,
    )


def _failure(node: Node, folder: Path, status: int, store: Store) -> KiwiliteError:
    if status == NO_SPACE_STATUS:
        return _no_space(node, store)
    kept = store.root / "logs" / f"{node.name}.log"
    shutil.copyfile(folder / "log", kept)
    report = folder / "failure"
    if report.exists() and report.stat().st_size:
        return read(report, where=f"step {node.name}", hint=f"the whole log: {kept}")
    tail = "\n".join(kept.read_text(errors="replace").splitlines()[-15:])
    return StageFailed(
        f"the step ended with status {status} and did not say why:\n{tail}",
        where=f"step {node.name}",
        hint=f"the whole log: {kept}",
    )
