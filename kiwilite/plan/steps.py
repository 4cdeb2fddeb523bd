"""The steps a build is made of, as data.

One frozen dataclass per kind. A field of type `Output` is another step's result, a field
of type `Source` is a file or folder beside the description; everything else is a plain
value. The whole of it, in canonical form, decides whether a step has to run again, so
whatever can change a step's result stands here and nowhere else.

Sizes are bytes, time stamps seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from kiwilite.plan.partitions import Partition

LINE = "where"
"""Name of the fields that hold a line of the description, for messages."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no report, log or picture may show."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Output:
    """The result of the step named `step`: a folder of files with fixed names."""

    step: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder of the person who wrote the description, taken in by content and mode."""

    path: Path


@dataclass(frozen=True, slots=True)
class AptSource:
    """One package source as apt understands it.

    `uri` is as written in the description ("distro:debian" is resolved on the host when
    the step runs: which mirror a package came through does not change the package).
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    architectures: tuple[str, ...] = ()
    signed_by: tuple[Source, ...] = ()
    trusted: bool = False
    priority: int | None = None
    image_only: bool = False


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A minimal tree made from packages. Result: `tree/`."""

    sources: tuple[AptSource, ...]
    packages: tuple[str, ...]
    architecture: str
    epoch: int
    pin: str
    """Stands for the state of the repositories that this selection was made from."""


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
class FetchBootstrap:
    """KIWI's bootstrap package, from the repositories. Result: the archive it carries."""

    name: str
    sources: tuple[AptSource, ...]
    architecture: str
    pin: str


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
    """All packages of the image on top of a minimal tree. Result: `tree/`, `packages`."""

    tree: Output
    sources: tuple[AptSource, ...]
    packages: tuple[str, ...]
    architecture: str
    recommends: bool
    archives: tuple[UnpackArchive, ...]
    files: tuple[PlaceFile, ...]
    post_bootstrap: Source | None
    script_variables: tuple[tuple[str, str], ...]
    script_network: bool
    epoch: int
    pin: str


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
    uninstall: tuple[str, ...]
    delete: tuple[str, ...]
    image_sources: tuple[str, ...]
    """apt lines that the image itself keeps."""
    scripts: tuple[tuple[str, Source], ...]
    script_variables: tuple[tuple[str, str], ...]
    script_network: bool
    factory_reset_entry: str | None
    """systemd-boot's name of the entry that resets the overlay; None without an overlay."""
    seed: str
    epoch: int


@dataclass(frozen=True, slots=True)
class BootFiles:
    """Kernel, stub, boot loader and the initrd without its policy, from the distribution.

    Result: `vmlinuz`, `uname`, `initrd`, `stub.efi`, `systemd-boot.efi` (with a loader).
    """

    tree: Output
    architecture: str
    with_loader: bool
    overlay_filesystem: str | None
    """What the initrd makes at the first boot; None for an overlay in memory."""
    epoch: int


@dataclass(frozen=True, slots=True)
class Squashfs:
    """A folder of the tree as squashfs, padded to 4096. Result: `image`."""

    tree: Output
    folder: str
    leave_out: tuple[str, ...]
    """Folders whose contents belong elsewhere; they stay, empty."""
    compression: str
    level: int | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Verity:
    """The dm-verity superblock and hash tree over an image. Result: `hashes`, `roothash`."""

    image: Output
    uuid: UUID
    salt: str
    data_blocks: int | None
    """Blocks of 4096 to cover; None covers all."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A folder of the tree as a writable file system of `size` bytes. Result: `image`."""

    tree: Output
    folder: str
    leave_out: tuple[str, ...]
    filesystem: str
    size: int
    label: str
    uuid: UUID
    where: str
    epoch: int


@dataclass(frozen=True, slots=True)
class VerityTarget:
    """Where a verity device appears at boot, and the step that has its root hash."""

    mapping: str
    partuuid: UUID
    mountpoint: str
    image: Output
    verity: Output


@dataclass(frozen=True, slots=True)
class OverlayTarget:
    """The encrypted volume the initrd provisions and opens."""

    mapping: str
    partuuid: UUID
    volume_id: UUID
    filesystem: str
    format_options: tuple[tuple[str, str], ...]
    passphrase: Secret | Source


@dataclass(frozen=True, slots=True)
class BootProfile:
    """A boot entry of the UKI: `id` and `title` as systemd-boot shows them."""

    id: str
    title: str
    cmdline: str


@dataclass(frozen=True, slots=True)
class Uki:
    """The unified kernel image with the policy in its initrd. Result: `uki.efi`, `roothash`."""

    boot: Output
    system: Output
    image: str
    version: str
    verity: tuple[VerityTarget, ...]
    overlay: OverlayTarget | None
    profiles: tuple[BootProfile, ...]
    """Command lines without the root hash, which the step adds."""
    switches: tuple[str, ...]
    on_failure: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Esp:
    """The EFI system partition as a FAT image. Result: `image`."""

    uki: Output
    boot: Output
    uki_name: str
    with_loader: bool
    loader_timeout: int
    minimum: int
    fixed_size: int | None
    volume_id: int
    where: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The whole disk. Result: `disk.raw` (sparse), `geometry.json`."""

    partitions: tuple[Partition, ...]
    contents: tuple[tuple[str, tuple[Output, ...]], ...]
    """Partition name, and the results written into it one behind the other, 4096-aligned."""
    disk_guid: UUID
    size: int | None
    extra: int
    """Bytes on top of what the contents need, where there is no `size`."""
    unpartitioned: int
    sector_size: int
    hybrid: tuple[str, ...]
    """Names of the partitions that the MBR shows too; empty for a protective MBR."""
    marks: tuple[tuple[str, UUID], ...]
    """Partitions that carry a provisioning mark, with the volume id."""
    where: str


@dataclass(frozen=True, slots=True)
class DiskFormat:
    """The disk in another format. Result: `disk.FORMAT`."""

    disk: Output
    format: str


Step = (
    Bootstrap
    | UnpackBootstrap
    | PackBootstrap
    | FetchBootstrap
    | Packages
    | Customise
    | BootFiles
    | Squashfs
    | Verity
    | FileSystem
    | Uki
    | Esp
    | Disk
    | DiskFormat
)


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, Output | Source):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _parts(item)


def outputs_of(step: Step) -> tuple[str, ...]:
    """Names of the steps whose results `step` reads, each once, in order."""
    return tuple(dict.fromkeys(p.step for p in _parts(step) if isinstance(p, Output)))


def sources_of(step: Step) -> tuple[Source, ...]:
    """The files of the description that `step` reads, each once, in order."""
    return tuple(dict.fromkeys(p for p in _parts(step) if isinstance(p, Source)))


def plain(value: Any, names: Mapping[Any, str] | None = None) -> Any:
    """`value` as JSON data, for people without `names`, for keys with them.

    `names` replaces outputs and sources by what identifies their content, and lines of the
    description, which only messages show, are left out. Without it secrets are left out.
    """
    if isinstance(value, Secret):
        return {"Secret": value.text if names is not None else "not shown"}
    if names is not None and isinstance(value, Output | Source):
        return names[value]
    if is_dataclass(value) and not isinstance(value, type):
        shown = (f.name for f in fields(value) if names is None or f.name != LINE)
        return {type(value).__name__: {name: plain(getattr(value, name), names) for name in shown}}
    if isinstance(value, tuple | list):
        return [plain(item, names) for item in value]
    if isinstance(value, UUID | Path):
        return str(value)
    return value
