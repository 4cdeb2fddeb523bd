"""Where the archive comes from that `bootstrap_package=` names.

Beside the description, in the store, in the repositories as a package of that name. Where
it is nowhere, a build makes the tree from the description's own bootstrap package list, and
`system bootstrap` the archive.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Keyed, Site, Watcher, execute, with_keys
from kiwilite.description.model import Appliance, BootstrapPackage
from kiwilite.errors import KiwiliteError
from kiwilite.plan.compile import bootstrap_plan
from kiwilite.plan.nodes import DEBIAN_ARCHITECTURE, Node
from kiwilite.plan.selection import PackageFile, Selection, package_of
from kiwilite.plan.tree_steps import FetchBootstrap, FindBootstrap
from kiwilite.plan.trees import apt_sources

SUFFIXES = (".tar.zst", ".tar.xz", ".tar.gz")

FIND = "find-bootstrap"
FETCH = "fetch-bootstrap"


@dataclass(frozen=True, slots=True)
class Prebuilt:
    """An archive that nobody has to make; `package` is the one in the repositories it is from."""

    path: Path
    package: PackageFile | None


def find(appliance: Appliance, site: Site, watcher: Watcher, *, pin: str) -> Prebuilt | None:
    """The prebuilt archive; None where the description wants none, or it is found nowhere.

    Raises KiwiliteError where its digest is not the one the description states.
    """
    wanted = appliance.packages.bootstrap_package
    if wanted is None:
        return None
    path, package = beside_or_stored(appliance, wanted, site), None
    if path is None:
        keyed = with_keys([_find_node(appliance, wanted, pin)], site)
        execute(keyed, [FIND], site, watcher, read=[FIND])
        package = _package(keyed, site)
        if package is None:
            return None
        path = fetch(package, site, watcher)
    check_digest(path, wanted)
    return Prebuilt(path, package)


def fetch(package: PackageFile, site: Site, watcher: Watcher) -> Path:
    """The archive that a package carries. KiwiliteError where it has none of the right name."""
    keyed = with_keys([_fetch_node(package)], site)
    execute(keyed, [FETCH], site, watcher, read=[FETCH])
    found = _archive_in(keyed, site)
    if found is None:
        raise KiwiliteError(
            f"the package {package.name} carries no archive /var/lib/bootstrap/{package.name}.*"
        )
    return found


def make(
    appliance: Appliance, site: Site, watcher: Watcher, *, epoch: int | None, packages: Selection
) -> Path:
    """Make the archive from the description's bootstrap packages (or take it from the store).

    Raises KiwiliteError where its digest is not the one the description states.
    """
    keyed = with_keys(bootstrap_plan(appliance, epoch=epoch, packages=packages), site)
    execute(keyed, ["pack"], site, watcher, read=["pack"])
    archive = keyed.output(site.store, "pack") / "bootstrap.tar.zst"
    if wanted := appliance.packages.bootstrap_package:
        check_digest(archive, wanted)
    return archive


def known(appliance: Appliance, site: Site, *, pin: str) -> Prebuilt | None:
    """The archive `find` would give, if it is on this host already."""
    wanted = appliance.packages.bootstrap_package
    if wanted is None:
        return None
    if path := beside_or_stored(appliance, wanted, site):
        return Prebuilt(path, None)
    package = _package(with_keys([_find_node(appliance, wanted, pin)], site), site)
    if package is None:
        return None
    found = _archive_in(with_keys([_fetch_node(package)], site), site)
    return Prebuilt(found, package) if found else None


def beside_or_stored(appliance: Appliance, wanted: BootstrapPackage, site: Site) -> Path | None:
    """The archive beside the description or in the store's folder for such."""
    folders = (appliance.directory / "bootstrap", site.store.bootstrap)
    names = [wanted.name + suffix for suffix in SUFFIXES]
    return next((f / n for f in folders for n in names if (f / n).is_file()), None)


def _find_node(appliance: Appliance, wanted: BootstrapPackage, pin: str) -> Node:
    architecture = DEBIAN_ARCHITECTURE.get(appliance.arch, appliance.arch)
    step = FindBootstrap(wanted.name, apt_sources(appliance), architecture, pin)
    return Node(FIND, f"package {wanted.name}, if there is one", step)


def _fetch_node(package: PackageFile) -> Node:
    return Node(FETCH, f"archive in the package {package.name}", FetchBootstrap(package))


def _package(keyed: Keyed, site: Site) -> PackageFile | None:
    found = site.store.find(keyed.keys[FIND])
    if found is None or not (found / "package.json").exists():
        return None
    return package_of(json.loads((found / "package.json").read_text()))


def _archive_in(keyed: Keyed, site: Site) -> Path | None:
    found = site.store.find(keyed.keys[FETCH])
    return next(iter(sorted(found.glob("*.tar.*"))), None) if found else None


def check_digest(archive: Path, wanted: BootstrapPackage) -> None:
    """Raise KiwiliteError where the description states another digest."""
    if wanted.digest is None:
        return
    found = digest_file(archive)
    if found != wanted.digest:
        raise KiwiliteError(
            f"the bootstrap archive {archive} has the digest sha256:{found}, "
            f"the description wants sha256:{wanted.digest}",
            where=str(wanted.span),
            hint="get the right archive, or state the digest of this one if it is trusted",
        )
