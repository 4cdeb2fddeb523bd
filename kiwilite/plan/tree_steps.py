"""The steps that make the root tree. Sizes are bytes, time stamps seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kiwilite.plan.references import Output, Secret, Source
from kiwilite.plan.selection import PackageFile, PackageFiles


@dataclass(frozen=True, slots=True)
class AptSource:
    """One package source as apt understands it.

    `uri` is as written in the description ("distro:debian" is resolved on the host when
    the step runs: which mirror a package came through does not change the package).
    `snapshot` is the time that takes the place of `{snapshot}` in the address.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    signed_by: tuple[Source, ...] = ()
    trusted: bool = False
    priority: int | None = None
    image_only: bool = False
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A minimal tree made from packages. Result: `tree/`.

    `packages` are asked for, `package_files` is all that comes with them.
    """

    packages: tuple[str, ...]
    package_files: PackageFiles
    architecture: str
    epoch: int


@dataclass(frozen=True, slots=True)
class UnpackBootstrap:
    """A minimal tree from a prebuilt archive. Result: `tree/`."""

    archive: Source


@dataclass(frozen=True, slots=True)
class PackBootstrap:
    """A tree as a deterministic archive. Result: `bootstrap.tar.zst`."""

    tree: Output
    epoch: int


@dataclass(frozen=True, slots=True)
class FindBootstrap:
    """KIWI's bootstrap package in the repositories. Result: `package.json`, where there is one."""

    name: str
    sources: tuple[AptSource, ...]
    architecture: str
    pin: str


@dataclass(frozen=True, slots=True)
class FetchBootstrap:
    """KIWI's bootstrap package. Result: the archive it carries."""

    package: PackageFile


@dataclass(frozen=True, slots=True)
class ResolvePackages:
    """The packages of an image, and none of them installed. Result: `packages.json`.

    With an `archive` its packages are there already, else those of `bootstrap` are selected.
    `pin` stands for the state of the repositories that the selection is made from.
    """

    sources: tuple[AptSource, ...]
    archive: Source | None
    bootstrap: tuple[str, ...]
    packages: tuple[str, ...]
    recommends: bool
    architecture: str
    pin: str


@dataclass(frozen=True, slots=True)
class ToolsTree:
    """The tools of other steps, unpacked from packages. Result: `tree/`.

    `architecture` is the host's; `package_files` are all packages of the tree.
    """

    package_files: tuple[PackageFile, ...]
    architecture: str


@dataclass(frozen=True, slots=True)
class UnpackArchive:
    """`<archive>`: unpacked below `target` in the tree."""

    archive: Source
    target: str


@dataclass(frozen=True, slots=True)
class PlaceFile:
    """`<file>`: copied into the tree; owner as "user:group" names or numbers."""

    source: Source
    target: str
    owner: str
    mode: int | None


@dataclass(frozen=True, slots=True)
class Packages:
    """Packages of the image on top of a minimal tree. Result: `tree/`.

    `packages` are asked for, `package_files` is all that may come with them, and all of it
    does unless there are `MorePackages`.
    """

    tree: Output
    scope: Literal["all", "large"]
    packages: tuple[str, ...]
    package_files: PackageFiles
    recommends: bool
    archives: tuple[UnpackArchive, ...]
    files: tuple[PlaceFile, ...]
    post_bootstrap: Source | None
    script_variables: tuple[tuple[str, str], ...]
    script_network: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class MorePackages:
    """The packages of the image, where the large ones are in `tree` already. Result: `tree/`.

    `packages` are all that are asked for, `package_files` is all that comes with them.
    """

    tree: Output
    packages: tuple[str, ...]
    package_files: tuple[PackageFile, ...]
    recommends: bool
    epoch: int


@dataclass(frozen=True, slots=True)
class Account:
    """`<user>`: `password` is what stands in /etc/shadow, or None to leave it locked."""

    name: str
    password: str | None
    plain_password: Secret | None
    uid: int | None
    realname: str | None
    home: str | None
    shell: str | None
    groups: tuple[tuple[str, int | None], ...]


@dataclass(frozen=True, slots=True)
class Customise:
    """Everything the description adds to the installed packages. Result: `tree/`, `os-release`,
    `packages`."""

    tree: Output
    overlay_trees: tuple[Source, ...]
    archives: tuple[UnpackArchive, ...]
    files: tuple[PlaceFile, ...]
    accounts: tuple[Account, ...]
    locale: str | None
    keytable: str | None
    timezone: str | None
    hostname: str
    fstab: tuple[str, ...]
    mount_points: tuple[str, ...]
    """Of all partitions; the initrd mounts some of them before anything could make these."""
    uninstall: tuple[str, ...]
    delete: tuple[str, ...]
    image_sources: tuple[str, ...]
    """apt lines that the image itself keeps."""
    scripts: tuple[tuple[str, Source], ...]
    script_variables: tuple[tuple[str, str], ...]
    script_network: bool
    resettable: bool
    """Whether there is an overlay volume, and so the image has `kiwilite-factory-reset`."""
    factory_reset_entry: str | None
    """systemd-boot's name of the entry that resets the overlay; None where no entry does."""
    lists_overlay: bool
    """Whether the image has `kiwilite-overlay`."""
    seed: str
    epoch: int
