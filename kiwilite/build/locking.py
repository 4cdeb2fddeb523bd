"""Writes `appliance.lock`, and tells where this host differs from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from kiwilite.build import lock_file, tools_tree
from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Site, Watcher
from kiwilite.build.host import ToolDigests, find_tool
from kiwilite.build.kinds import KINDS
from kiwilite.build.places import placed
from kiwilite.build.selecting import Chosen, pin_of, resolve
from kiwilite.build.tools import TOOLS
from kiwilite.description.model import Appliance
from kiwilite.plan.compile import compile
from kiwilite.plan.lock import (
    Change,
    Locked,
    LockedArchive,
    LockedTool,
    LockedTree,
    changes,
    question,
    selection_name,
    tool_changes,
)
from kiwilite.plan.lock import other_tools as names_of_others
from kiwilite.plan.nodes import Plan


@dataclass(frozen=True, slots=True)
class Renewed:
    """What `renew` or `add` did to a lock."""

    path: Path
    name: str
    """Of the selection."""
    before: Locked | None
    after: Locked

    @property
    def changes(self) -> tuple[Change, ...]:
        """Packages that changed; all of them where nothing was locked before."""
        return changes(self.before, self.after)

    @property
    def tool_changes(self) -> tuple[Change, ...]:
        """The same of the tools tree."""
        return tool_changes(self.before, self.after)


def renew(appliance: Appliance, site: Site, watcher: Watcher) -> Renewed:
    """Select packages anew and lock them, whatever the lock said of this selection.

    Those of a tools tree too, if tools are to come from one or the lock has one. Raises
    LockBroken, SourceUnreachable, StageFailed, OSError.
    """
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    before = lock_file.read(path).selections.get(name)
    tree: LockedTree | None = None
    if site.tools_from == "tree" or (before is not None and before.tools_tree is not None):
        with placed(appliance, site):
            tree = tools_tree.choose(appliance, site, watcher, refresh=True)
    return _put(appliance, site, watcher, before, pin_of(appliance, site, renew=True), tree)


def add(appliance: Appliance, site: Site, watcher: Watcher) -> Renewed | None:
    """Lock what builds install without a lock; None where the selection is locked already.

    Where the tools are to come from a tree and the lock has none, it is added. Raises as
    `renew` does, and LockOutdated where what is locked does not fit any more.
    """
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    there = name in lock_file.read(path).selections
    before = lock_file.locked_for(appliance) if there else None
    if before and (site.tools_from == "host" or before.tools_tree):
        return None
    tree: LockedTree | None = None
    if site.tools_from == "tree":
        with placed(appliance, site):
            tree = tools_tree.choose(appliance, site, watcher, refresh=False)
    if before is None:
        return _put(appliance, site, watcher, None, pin_of(appliance, site, renew=False), tree)
    after = replace(before, tools=(), tools_tree=tree)
    lock_file.put(path, name, after, site)
    return Renewed(path, name, before, after)


def _put(
    appliance: Appliance,
    site: Site,
    watcher: Watcher,
    before: Locked | None,
    pin: str,
    tree: LockedTree | None,
) -> Renewed:
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    with placed(appliance, site):
        locked = _locked(appliance, resolve(appliance, site, watcher, pin=pin), site, tree)
    lock_file.put(path, name, locked, site)
    return Renewed(path, name, before, locked)


def _locked(appliance: Appliance, chosen: Chosen, site: Site, tree: LockedTree | None) -> Locked:
    wanted, archive = appliance.packages.bootstrap_package, chosen.archive
    plan = compile(
        appliance,
        bootstrap_archive=chosen.archive_path,
        epoch=None,
        packages=chosen.selection,
        mirrors=site.mirrors,
    )
    return Locked(
        question=question(appliance),
        repositories=chosen.repositories,
        archive=LockedArchive(wanted.name, digest_file(archive.path), archive.package)
        if wanted and archive
        else None,
        selection=chosen.selection,
        tools=() if tree else _tools(plan, site),
        tools_tree=tree,
    )


def _tools(plan: Plan, site: Site) -> tuple[LockedTool, ...]:
    return tuple(LockedTool(n, _version(n), d) for n, d in _digests(plan, site).items())


def other_tools(plan: Plan, locked: Locked, site: Site) -> str | None:
    """A warning that names the tools here that are not those of the lock; None where all are.

    It is no error: what they make is under keys of its own, and the packages are the same.
    """
    if site.tools_from == "tree":
        return None
    if locked.tools_tree:
        return (
            "warning: the lock has a tools tree, and this build takes the host's tools; with "
            "--tools tree the image is the one of the lock"
        )
    digests = _digests(plan, site)
    others = names_of_others(locked, tuple(LockedTool(n, "", d) for n, d in digests.items()))
    if not others:
        return None
    then = {tool.name: tool.version for tool in locked.tools}
    words = (f"{n} ({_version(n)} here, {then.get(n, 'none')} in the lock)" for n in others)
    return (
        f"warning: these tools are not those of the lock: {', '.join(words)}; the image may "
        "differ from those made with them"
    )


def _digests(plan: Plan, site: Site) -> dict[str, str]:
    names = {tool for node in plan.nodes for tool in KINDS[type(node.step)].tools}
    digests = ToolDigests(site.store.tools)
    return {name: digests.tool(name).digest for name in sorted(names)}


def _version(name: str) -> str:
    # What nearly no build needs is not for its start to load.
    from kiwilite.build.doctor import package_version, tool_version

    tool = next(t for t in TOOLS if t.name == name)
    return tool_version(find_tool(name), tool.version) or package_version(tool.package) or "unknown"
