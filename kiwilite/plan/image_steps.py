"""The steps from the root tree to the disk. Sizes are bytes, time stamps seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from kiwilite.plan.partitions import Partition, PartitionSize
from kiwilite.plan.references import Output, Secret, Source

_AS_CONTENT = PartitionSize("content")


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
    filesystems: tuple[str, ...] = ()
    """Those of data partitions that the initrd makes and fills."""
    grows: bool = False
    """Whether the overlay's file system grows with the disk."""
    hash_algorithm: str = "sha256"
    """That of dm-verity."""
    initrd_system: Literal["kiwilite", "dracut"] = "kiwilite"
    dracut_configuration: tuple[Source, ...] = ()
    """Folders of the description with files for dracut.conf.d."""


BLOCKS = "blocks"
"""The index of a squashfs' blocks: which of them stands where in its `image`."""

SEALED = "sealed"
"""What the seal of a disk says of each partition, and which contents these have."""


@dataclass(frozen=True, slots=True)
class Squashfs:
    """A folder of the tree as squashfs, padded to 4096. Result: `image`, `blocks`.

    The next image has from there what did not change.
    """

    tree: Output
    folder: str
    leave_out: tuple[str, ...]
    """Folders whose contents belong elsewhere; they stay, empty."""
    level: int | None
    """Of zstd; None for an image that is not compressed."""
    epoch: int


@dataclass(frozen=True, slots=True)
class ToolSquashfs:
    """As Squashfs, but for the compressors that only mksquashfs has here. Result: `image`."""

    tree: Output
    folder: str
    leave_out: tuple[str, ...]
    compression: str
    level: int | None
    """None for the compressor's own, or where it has none."""
    epoch: int


@dataclass(frozen=True, slots=True)
class Verity:
    """The dm-verity superblock and hash tree over an image. Result: `hashes`, `roothash`."""

    image: Output
    uuid: UUID
    salt: str
    data_blocks: int | None
    """Blocks of `data_block_size` that the description asks for; None covers all."""
    algorithm: str = "sha256"
    data_block_size: int = 4096
    hash_block_size: int = 4096
    where: str = ""
    """Line that asks for `data_blocks`."""


@dataclass(frozen=True, slots=True)
class Fec:
    """Forward error correction over an image and its hash tree. Result: `fec`.

    Behind the hash area, 4096-aligned; `roots` parity bytes in every 255.
    """

    image: Output
    verity: Output
    roots: int


TreePlace = Literal["appended", "partition"]
"""Where a hash tree stands: behind its image, or at the start of a partition of its own."""


@dataclass(frozen=True, slots=True)
class VerityMetadata:
    """KIWI's metadata block about an image and its hash tree. Result: `metadata` (4096 bytes)."""

    image: Output
    verity: Output
    tree: TreePlace
    key: Source | None
    """RSA private key in PEM form; None leaves the block unsigned."""


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
    sector_size: int = 512
    """Of the disk it is for, in bytes."""


@dataclass(frozen=True, slots=True)
class VerityTarget:
    """Where a verity device appears at boot, and the step that has its root hash.

    `size` is that of its partition, once the contents are known.
    """

    mapping: str
    partuuid: UUID
    mountpoint: str
    image: Output
    verity: Output
    size: PartitionSize = _AS_CONTENT
    hash_partuuid: UUID | None = None
    """Partition with the hash tree, where it is another one."""
    fec: Output | None = None
    fec_roots: int = 0
    metadata: bool = False
    """Whether its partition ends in a metadata block; what is in that decides nothing here."""
    options: str = "ro,nosuid,nodev"
    """Those it is mounted with, where it is not the root."""


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
class VolumeTarget:
    """An encrypted data partition, provisioned and opened with the overlay's key and options."""

    mapping: str
    partuuid: UUID
    volume_id: UUID
    filesystem: str
    mountpoint: str
    reset: bool
    """Whether a factory reset makes it anew."""
    options: str
    """Those it is mounted with."""


@dataclass(frozen=True, slots=True)
class PlainTarget:
    """An unencrypted data partition that a factory reset makes anew."""

    partuuid: UUID
    filesystem: str
    mountpoint: str
    label: str


@dataclass(frozen=True, slots=True)
class GrowTarget:
    """The last partition, which fills a larger disk."""

    when: Literal["always", "once"]
    partuuid: UUID


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
    on_corruption: str = "eio"
    volumes: tuple[VolumeTarget, ...] = ()
    """Encrypted partitions besides the overlay's."""
    trees: tuple[str, ...] = ()
    """Folders an overlay lies over; none: all of /."""
    resettable: tuple[PlainTarget, ...] = ()
    grow: GrowTarget | None = None


@dataclass(frozen=True, slots=True)
class BiosBoot:
    """GRUB for a legacy BIOS, made by the image's own grub-mkimage. Result: `boot.img`, `core.img`.

    The core image looks for a FAT with `volume_id`, first in partition `esp_number` of its disk.
    """

    tree: Output
    esp_number: int
    volume_id: int


@dataclass(frozen=True, slots=True)
class HybridRow:
    """A partition that the MBR shows too; `type` is the MBR's type byte."""

    partition: str
    type: int
    active: bool


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
    sector_size: int = 512
    bios: bool = False
    """Whether kernel, initrd and a menu for GRUB stand beside the UKI."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Places and sizes of all partitions, from the sizes of their contents.

    Result: `geometry.json`.
    """

    partitions: tuple[Partition, ...]
    contents: tuple[tuple[str, tuple[Output, ...]], ...]
    """Partition name, and the results that have to fit in it, as in Disk, where these decide
    its size: what is made for a partition of a fixed size has that size."""
    size: int | None
    extra: int
    """Bytes on top of what the contents need, where there is no `size`."""
    unpartitioned: int
    sector_size: int
    where: str
    tails: tuple[str, ...] = ()
    """Partitions that end in a block of their own, as in Disk."""


@dataclass(frozen=True, slots=True)
class VolumeKey:
    """A keyslot: what opens it, and what deriving its key costs.

    `pbkdf` is pbkdf2, argon2i or argon2id; `memory` (KiB) and `parallel` count for Argon2 only.
    """

    name: str
    """Empty for the one that the initrd has."""
    passphrase: Secret | Source
    pbkdf: str
    iterations: int
    memory: int
    parallel: int


@dataclass(frozen=True, slots=True)
class LuksVolume:
    """A LUKS2 volume with integrity and an empty XFS. Result: `image`, as large as its partition.

    The volume key and all IVs are random: this result differs from build to build.
    """

    layout: Output
    partition: str
    cipher: str
    integrity: str
    key_bits: int | None
    """Of the cipher alone; None for the cipher's usual length."""
    sector_size: int
    uuid: UUID
    volume_id: UUID
    """The LUKS2 label."""
    filesystem_uuid: UUID
    keys: tuple[VolumeKey, ...]
    fill: Literal["sparse", "full"]
    journal: Literal["written", "deferred"]
    where: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Disk:
    """The whole disk. Result: `disk.raw` (sparse), `geometry.json`, `sealed`."""

    layout: Output
    partitions: tuple[Partition, ...]
    contents: tuple[tuple[str, tuple[Output, ...]], ...]
    """Partition name, and the results written into it one behind the other, 4096-aligned."""
    disk_guid: UUID
    sector_size: int
    hybrid: tuple[HybridRow, ...]
    """Partitions that the MBR shows too; empty for a protective MBR."""
    marks: tuple[tuple[str, UUID], ...]
    """Partitions that carry a provisioning mark, with the volume id."""
    where: str
    bios: Output | None = None
    """GRUB, whose first part goes into the MBR and the rest into p.legacy."""
    tails: tuple[tuple[str, Output], ...] = ()
    """Partition name, and the result whose `metadata` (4096 bytes) ends the partition."""


@dataclass(frozen=True, slots=True)
class DiskFormat:
    """The disk in another format. Result: `disk.FORMAT`."""

    disk: Output
    format: str
