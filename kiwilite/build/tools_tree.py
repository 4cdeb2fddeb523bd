"""Which packages a tools tree has: those of the lock, else what apt chose at some time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from typing import Final

from kiwilite.build import lock_file, package_files
from kiwilite.build.executor import Site, Watcher
from kiwilite.build.host import Identity
from kiwilite.build.kinds import KINDS, ToolsFrom
from kiwilite.build.lock_file import LockOutdated, lock_path
from kiwilite.build.selecting import answer, known_answer, pin_for, states_in
from kiwilite.build.store import Store
from kiwilite.build.tools import DATA_FILES, PACKAGE_OF
from kiwilite.build.tools_view import hides
from kiwilite.build.toolset import NAME, Toolset, toolset
from kiwilite.description.model import Appliance
from kiwilite.errors import HostError
from kiwilite.plan.lock import LockedTree
from kiwilite.plan.nodes import DEBIAN_ARCHITECTURE, Node
from kiwilite.plan.selection import PackageFile, package_of
from kiwilite.plan.tree_steps import AptSource, ResolvePackages

SOURCE: Final = AptSource(uri="distro:debian", suite="trixie", components=("main",))
"""Where the tools are from, whatever the host and the image are of."""

RESOLVE: Final = "resolve-tools"
"""Name of the step that selects packages of the tree."""


def check_place(store: Store) -> None:
    """Raise HostError where the store lies in a folder that tools of a tree do not see."""
    if hides(store.root):
        raise HostError(
            f"with --tools tree the store cannot be in {store.root}: tools of the tree have "
            f"a /{store.root.resolve().parts[1]} of their own",
            hint="choose another place: `store:` in kiwilite.yml, or $KIWILITE_STORE",
        )


def packages_for(tools_from: ToolsFrom) -> tuple[str, ...]:
    """Packages with what steps call of the tree, or still of the host where there is one."""
    kinds = [kind for kind in KINDS.values() if kind.tools_from == tools_from]
    files = {pattern for kind in kinds for pattern in kind.host_files}
    found = {PACKAGE_OF[tool] for kind in kinds for tool in kind.tools}
    found |= {d.package for d in DATA_FILES if any(fnmatch(d.pattern, f) for f in files)}
    return tuple(sorted(found))


def equipped(appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool) -> Site:
    """`site` with its tools tree, if it is to have one; its packages are selected then.

    Those of the lock beside the description, else of the last selection, else new ones.
    Raises LockOutdated, and whatever apt complains about.
    """
    if site.tools_from == "host":
        return site
    packages = _locked(appliance)
    if packages is None:
        packages = choose(appliance, site, watcher, refresh=refresh).packages
    package_files.use(site.store.packages, packages)
    return _with(packages, appliance, site)


def foreseen(appliance: Appliance, site: Site) -> Site:
    """The same without running anything; a tree that is not selected yet is one of its own."""
    if site.tools_from == "host":
        return site
    packages = _locked(appliance)
    if packages is None:
        pin = pin_for((SOURCE,), site, renew=False)
        node = _node(appliance, pin)
        data = known_answer(node, site)
        if data is None:
            return replace(site, tools=Toolset(node, Identity(NAME, f"not selected, {pin}")))
        packages = tuple(package_of(row) for row in data["bootstrap"])
    return _with(packages, appliance, site)


def choose(appliance: Appliance, site: Site, watcher: Watcher, *, refresh: bool) -> LockedTree:
    """The packages of the last selection, else (or with `refresh`) what apt chooses now."""
    node = _node(appliance, pin_for((SOURCE,), site, renew=refresh))
    data = answer(node, site, watcher)
    return LockedTree(states_in(data), tuple(package_of(row) for row in data["bootstrap"]))


def _with(packages: Sequence[PackageFile], appliance: Appliance, site: Site) -> Site:
    return replace(site, tools=toolset(packages, _architecture(appliance)))


def _locked(appliance: Appliance) -> tuple[PackageFile, ...] | None:
    """The packages that the lock has; None where there is no lock.

    Raises LockOutdated where there is one and it has no tree, or not all that steps call.
    """
    locked = lock_file.locked_for(appliance)
    if locked is None:
        return None
    where, tree = str(lock_path(appliance)), locked.tools_tree
    if tree is None:
        raise LockOutdated(
            "the lock has no tools tree, and --tools tree wants one",
            where=where,
            hint="`kiwilite system lock --tools tree` adds it",
        )
    lacking = set(packages_for("tree")) - {package.name for package in tree.packages}
    if lacking:
        raise LockOutdated(
            f"the tools tree of the lock lacks {', '.join(sorted(lacking))}, which this "
            "kiwilite calls",
            where=where,
            hint=f"with --tools tree {lock_file.RENEW}",
        )
    return tree.dated


def _node(appliance: Appliance, pin: str) -> Node:
    step = ResolvePackages(
        sources=(SOURCE,),
        archive=None,
        bootstrap=packages_for("tree"),
        packages=(),
        recommends=False,
        architecture=_architecture(appliance),
        pin=pin,
    )
    return Node(RESOLVE, "list of tools", step)


def _architecture(appliance: Appliance) -> str:
    # An image is built on a host of its own architecture.
    return DEBIAN_ARCHITECTURE.get(appliance.arch, appliance.arch)
