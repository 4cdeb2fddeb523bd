"""Which packages an image would get, with versions, sizes and where each comes from."""

from __future__ import annotations

from dataclasses import dataclass

from kiwilite.build import selecting
from kiwilite.build.executor import Site, Watcher
from kiwilite.build.mirrors import address_of
from kiwilite.build.places import placed
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError
from kiwilite.plan.nodes import DEBIAN_ARCHITECTURE
from kiwilite.plan.selection import Archived, PackageFile

APT = "apt"
APT_TYPES = ("apt-deb", "deb-dir")


@dataclass(frozen=True, slots=True)
class Resolved:
    """One package; `source` is the folder of its package list in the repository.

    Of a package that the bootstrap archive brings `source` is the archive.
    """

    name: str
    version: str
    architecture: str
    installed_bytes: int
    source: str
    listed: bool
    """Whether the description names it."""


def package_list(appliance: Appliance, site: Site, watcher: Watcher) -> tuple[Resolved, ...]:
    """The packages that a build would install, sorted by name.

    They are those of the lock, if there is one, else the state of the repositories is the one
    that builds have, until `--refresh`. Raises
    KiwiliteError with the line of a package or repository that cannot be had.
    """
    _check(appliance)
    with placed(appliance, site):
        chosen = selecting.choose(appliance, site, watcher, refresh=False)
    listed = {p.name for p in (*appliance.packages.bootstrap, *appliance.packages.image)}
    found: dict[str, Resolved] = {}
    selection = chosen.selection
    # What is installed later takes the place of what was there.
    packages: tuple[PackageFile | Archived, ...]
    packages = (*selection.archived, *selection.bootstrap, *selection.image)
    for p in packages:
        found[p.name] = Resolved(
            name=p.name,
            version=p.version,
            architecture=p.architecture,
            installed_bytes=p.installed_bytes,
            source=_list(p, appliance, site)
            if isinstance(p, PackageFile)
            else str(chosen.archive_path or ""),
            listed=p.name in listed,
        )
    return tuple(row for _, row in sorted(found.items()))


def _list(package: PackageFile, appliance: Appliance, site: Site) -> str:
    """The folder of the package list that has the package."""
    place = package.where
    address = address_of(place.repository, place.snapshot, site.mirrors, site.snapshots)
    if place.suite.endswith("/"):
        return address.rstrip("/")
    architecture = DEBIAN_ARCHITECTURE.get(appliance.arch, appliance.arch)
    return f"{address.rstrip('/')}/dists/{place.suite}/binary-{architecture}"


def _check(appliance: Appliance) -> None:
    """Raise KiwiliteError where apt cannot answer."""
    manager = appliance.preferences.packagemanager
    if manager != APT:
        raise KiwiliteError(
            f"the packages are those of {manager}, and kiwilite asks apt", where=str(appliance.span)
        )
    for repository in appliance.repositories:
        if repository.type not in APT_TYPES:
            raise KiwiliteError(
                f"apt knows no repository of type {repository.type}", where=str(repository.span)
            )
