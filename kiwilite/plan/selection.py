"""Which packages a build installs, to the byte: what a resolver chose, or a lock has kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiwilite.plan.references import Output


@dataclass(frozen=True, slots=True)
class Place:
    """Where a package can be had: `path` is relative to the repository's address.

    `repository` is the address as written in the description; `suite` is the part of it that
    has the package, such as `trixie/main`, or `./` where there are no suites; `snapshot` is
    the time that the description wants, such as 20260101T000000Z. `seen` is a time at which
    the repository had the package, in the same form, where a lock knows it.
    """

    repository: str
    suite: str
    snapshot: str | None
    path: str
    seen: str | None = None


@dataclass(frozen=True, slots=True)
class PackageFile:
    """One package in one version; the digest is the SHA-256 of the whole file. Sizes are bytes.

    `where` is no part of what the package is: keys of steps leave it out.
    """

    name: str
    version: str
    architecture: str
    size: int
    sha256: str
    installed_bytes: int
    where: Place


@dataclass(frozen=True, slots=True)
class Archived:
    """A package that a prebuilt bootstrap archive brings; the archive's digest is for all."""

    name: str
    version: str
    architecture: str
    installed_bytes: int


@dataclass(frozen=True, slots=True)
class RepositoryState:
    """A repository as it was when packages were selected from it.

    `date` is the one in its Release file, `release_sha256` the digest of that file; a folder
    of packages has none.
    """

    repository: str
    suite: str
    components: str
    snapshot: str | None
    date: str | None
    release_sha256: str | None


PackageFiles = tuple[PackageFile, ...] | Output
"""Sorted by name. An `Output` stands in plans for those that are not selected yet."""


@dataclass(frozen=True, slots=True)
class Selection:
    """All packages of an image, by the step that installs them.

    `bootstrap` is empty where the tree starts from a prebuilt archive, `archived` where it
    does not. `large` are names of those of `image` that go in before the rest.
    """

    bootstrap: tuple[PackageFile, ...]
    image: tuple[PackageFile, ...]
    archived: tuple[Archived, ...] = ()
    large: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unselected:
    """Nothing is selected yet; `pin` stands for the state of the repositories it will be from."""

    pin: str


Packages = Selection | Unselected


def moment_of(pin: str) -> int:
    """When the repositories were as `pin` says, in seconds since 1970.

    Behind the time stands the state of repositories on the host itself, which is read anew.
    """
    return int(pin.partition("-")[0])


_DIGEST = re.compile(r"[0-9a-f]{64}")


def package_data(package: PackageFile) -> dict[str, Any]:
    """A package as JSON data, the way results and locks have it."""
    place = package.where
    return {
        "name": package.name,
        "version": package.version,
        "architecture": package.architecture,
        "size": package.size,
        "sha256": package.sha256,
        "installed_bytes": package.installed_bytes,
        "repository": place.repository,
        "suite": place.suite,
        **({"snapshot": place.snapshot} if place.snapshot else {}),
        "file": place.path,
    }


def package_of(data: Mapping[str, Any]) -> PackageFile:
    """The package that `package_data` gave; ValueError where it cannot be one."""
    snapshot = _text(data, "snapshot") if "snapshot" in data else None
    place = Place(_text(data, "repository"), _text(data, "suite"), snapshot, _text(data, "file"))
    package = PackageFile(
        name=_text(data, "name"),
        version=_text(data, "version"),
        architecture=_text(data, "architecture"),
        size=_count(data, "size"),
        sha256=_text(data, "sha256"),
        installed_bytes=_count(data, "installed_bytes"),
        where=place,
    )
    if not _DIGEST.fullmatch(package.sha256):
        raise ValueError(f"{package.name}: sha256 has 64 hexadecimal digits in lower case")
    if ".." in place.path.split("/"):
        raise ValueError(f"{package.name}: its file lies outside of the repository")
    return package


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is a text")
    return value


def _count(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is a number of bytes")
    return value
