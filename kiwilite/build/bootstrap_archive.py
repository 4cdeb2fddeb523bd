"""Where the archive comes from that `bootstrap_package=` names.

Beside the description, in the store, in the repositories as a package of that name, and
else made once from the description's own bootstrap package list.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Site, Watcher, execute, with_keys
from kiwilite.description.model import Appliance, BootstrapPackage
from kiwilite.errors import KiwiliteError
from kiwilite.plan.compile import bootstrap_plan
from kiwilite.plan.nodes import DEBIAN_ARCHITECTURE, Node
from kiwilite.plan.tree_steps import FetchBootstrap
from kiwilite.plan.trees import apt_sources

SUFFIXES = (".tar.zst", ".tar.xz", ".tar.gz")


def locate(
    appliance: Appliance,
    site: Site,
    watcher: Watcher,
    *,
    epoch: int | None,
    pin: str,
    tell: Callable[[str], None],
) -> Path | None:
    """The archive to start from; None when the description starts from packages.

    Raises KiwiliteError where its digest is not the one the description states.
    """
    wanted = appliance.packages.bootstrap_package
    if wanted is None:
        return None
    archive = _prebuilt(appliance, wanted, site)
    if archive is None:
        archive = _fetched(appliance, wanted, site, watcher, pin)
    if archive is None:
        archive = make(appliance, site, watcher, epoch=epoch, pin=pin)
        tell(
            f"bootstrap archive {wanted.name}: found nowhere, made from the description's own list"
        )
    _check_digest(archive, wanted)
    return archive


def make(
    appliance: Appliance, site: Site, watcher: Watcher, *, epoch: int | None, pin: str
) -> Path:
    """Make the archive from the description's bootstrap packages (or take it from the store)."""
    keyed = with_keys(bootstrap_plan(appliance, epoch=epoch, pin=pin), site.store)
    execute(keyed, ["pack"], site, watcher, read=["pack"])
    return keyed.output(site.store, "pack") / "bootstrap.tar.zst"


def known(appliance: Appliance, site: Site, *, epoch: int | None, pin: str) -> Path | None:
    """The archive `locate` would give, if it is on this host already."""
    wanted = appliance.packages.bootstrap_package
    if wanted is None:
        return None
    archive = _prebuilt(appliance, wanted, site)
    keyed = with_keys(bootstrap_plan(appliance, epoch=epoch, pin=pin), site.store)
    made = site.store.find(keyed.keys["pack"])
    return archive or (made / "bootstrap.tar.zst" if made else None)


def _prebuilt(appliance: Appliance, wanted: BootstrapPackage, site: Site) -> Path | None:
    folders = (appliance.directory / "bootstrap", site.store.bootstrap)
    names = [wanted.name + suffix for suffix in SUFFIXES]
    return next((f / n for f in folders for n in names if (f / n).is_file()), None)


def _fetched(
    appliance: Appliance, wanted: BootstrapPackage, site: Site, watcher: Watcher, pin: str
) -> Path | None:
    architecture = DEBIAN_ARCHITECTURE.get(appliance.arch, appliance.arch)
    step = FetchBootstrap(wanted.name, apt_sources(appliance), architecture, pin)
    node = Node("fetch-bootstrap", f"package {wanted.name}, if there is one", step)
    keyed = with_keys([node], site.store)
    execute(keyed, [node.name], site, watcher, read=[node.name])
    return next(iter(sorted(keyed.output(site.store, node.name).glob("*.tar.*"))), None)


def _check_digest(archive: Path, wanted: BootstrapPackage) -> None:
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
