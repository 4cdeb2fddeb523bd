"""The steps from the root tree to the disk. Sizes are bytes, time stamps seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from kiwilite.plan.partitions import Partition
from kiwilite.plan.references import Output, Secret, Source


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
