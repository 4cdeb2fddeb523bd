"""Writes `appliance.lock`, and tells where this host differs from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kiwilite.build import lock_file
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
    changes,
    question,
    selection_name,
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


def renew(appliance: Appliance, site: Site, watcher: Watcher) -> Renewed:
    """Select packages anew and lock them, whatever the lock said of this selection.

    Raises LockBroken, SourceUnreachable, StageFailed, OSError.
    """
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    before = lock_file.read(path).selections.get(name)
    return _put(appliance, site, watcher, before, pin_of(appliance, site, renew=True))


def add(appliance: Appliance, site: Site, watcher: Watcher) -> Renewed | None:
    """Lock what builds install without a lock; None where the selection is locked already.

    Raises as `renew` does, and LockOutdated where what is locked does not fit any more.
    """
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    if name in lock_file.read(path).selections:
        lock_file.locked_for(appliance)
        return None
    return _put(appliance, site, watcher, None, pin_of(appliance, site, renew=False))


def _put(
    appliance: Appliance, site: Site, watcher: Watcher, before: Locked | None, pin: str
) -> Renewed:
    path, name = lock_file.lock_path(appliance), selection_name(appliance)
    with placed(appliance, site):
        locked = _locked(appliance, resolve(appliance, site, watcher, pin=pin), site)
    lock_file.put(path, name, locked, site)
    return Renewed(path, name, before, locked)


def _locked(appliance: Appliance, chosen: Chosen, site: Site) -> Locked:
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
        tools=tuple(LockedTool(n, _version(n), d) for n, d in _digests(plan, site).items()),
    )


def other_tools(plan: Plan, locked: Locked, site: Site) -> str | None:
    """A warning that names the tools here that are not those of the lock; None where all are.

    It is no error: what they make is under keys of its own, and the packages are the same.
    """
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
