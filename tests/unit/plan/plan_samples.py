"""Plans to look at."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import kiwilite
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.plan.compile import compile
from kiwilite.plan.nodes import Plan
from kiwilite.plan.partitions import Partition, PartitionSize, SizeKind
from kiwilite.plan.selection import PackageFile, Packages, Place, Selection, Unselected

X86 = Path(kiwilite.__file__).resolve().parent.parent / "descriptions/x86"
PROFILES: tuple[tuple[str, ...], ...] = ((), ("bootstrapped",), ("development",))


UNSELECTED = Unselected("today")


def package(name: str, version: str = "1", *, sha256: str = "0" * 64) -> PackageFile:
    """A package of a made-up repository."""
    place = Place("distro:debian", "trixie/main", None, f"pool/{name}_{version}_amd64.deb")
    return PackageFile(name, version, "amd64", 1000, sha256, 4096, place)


SELECTION = Selection(bootstrap=(package("apt"), package("libc6")), image=(package("kmod"),))


def x86(*profiles: str) -> Appliance:
    """The reference appliance."""
    appliance, _ = load(X86, profiles, arch="x86_64")
    return appliance


def plan_of(
    appliance: Appliance,
    *,
    archive: Path | None = None,
    epoch: int | None = None,
    mirror: str = "http://mirror.invalid/debian",
    packages: Packages = UNSELECTED,
) -> Plan:
    """Its plan, on a host with one mirror."""
    mirrors = {"debian": mirror}
    return compile(
        appliance,
        bootstrap_archive=archive,
        epoch=epoch,
        packages=packages,
        mirrors=mirrors,
    )


def partition(name: str, kind: SizeKind, size: int = 0, *, number: int = 1) -> Partition:
    """A partition of a made-up disk; `number` is its line in the description."""
    guid = UUID(int=number)
    return Partition(
        name, guid, guid, PartitionSize(kind, size), "words", None, f"appliance.kiwi:{number}:1"
    )
