"""Which packages an image would get, with versions, sizes and where each comes from."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kiwilite.build import bootstrap_archive, image
from kiwilite.build.executor import Site, Watcher, execute, with_keys
from kiwilite.build.mirrors import resolve
from kiwilite.build.places import placed
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError
from kiwilite.plan.compile import package_list_node

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

    The state of the repositories is the one that builds have, until `--refresh`. Raises
    KiwiliteError with the line of a package or repository that cannot be had.
    """
    _check(appliance)
    pin = image.pin_of(appliance, site, renew=False)
    epoch = image.source_date_epoch()
    archive = bootstrap_archive.known(appliance, site, epoch=epoch, pin=pin)
    node = package_list_node(appliance, bootstrap_archive=archive, pin=pin)
    with placed(appliance, site.mirrors):
        keyed = with_keys([node], site.store)
        execute(keyed, [node.name], site, watcher, read=[node.name])
    rows = json.loads((keyed.output(site.store, node.name) / "packages.json").read_text())
    listed = {p.name for p in (*appliance.packages.bootstrap, *appliance.packages.image)}
    return tuple(
        Resolved(
            name=row["name"],
            version=row["version"],
            architecture=row["architecture"],
            installed_bytes=row["installed_bytes"],
            source=_source(row, site) if row["source"] else str(archive or ""),
            listed=row["name"] in listed,
        )
        for row in rows
    )


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


def _source(row: dict[str, str], site: Site) -> str:
    uri = resolve(row["source"], site.mirrors).rstrip("/")
    return f"{uri}/{row['list']}" if row["list"] else uri
