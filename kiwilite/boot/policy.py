"""The policy file of the initrd: what must hold before the root file system is handed over.

It travels inside the (signed) UKI and is the only thing the boot hook trusts. The
text form is one record per line, fields separated by single spaces, so that a
POSIX shell reads it without a parser:

    image NAME VERSION
    verity MAPPING PARTUUID ROOTHASH HASH_PARTUUID HASH_OFFSET MOUNTPOINT FSTYPE [MOUNT_OPTIONS]
    fec MAPPING FEC_OFFSET FEC_ROOTS      (in the partition that has the hash tree)
    on-corruption eio|restart|panic
    metadata MAPPING OFFSET               (a KIWI metadata block, compared with the root hash)
    volume MAPPING PARTUUID VOLUME_ID FSTYPE KEYFILE MOUNTPOINT [MOUNT_OPTIONS]
                                          (MOUNTPOINT "overlay": the writable layer)
    format OPTION [VALUE]                 (one per luksFormat option, in order; for all volumes)
    tree PATH                             (the overlay's scope; none: all of /)
    reset PARTUUID                        (a data volume that a factory reset makes anew)
    plain PARTUUID FSTYPE MOUNTPOINT LABEL     (likewise, a partition without encryption)
    grow always|once PARTUUID             (the last partition, to fill a larger disk)
    switch NAME                           (kernel command line switches that are honoured)
    on-failure reboot|halt|shell
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from kiwilite.ondisk import cpio

OnFailure = Literal["reboot", "halt", "shell"]
OnCorruption = Literal["eio", "restart", "panic"]

POLICY_PATH = "etc/kiwilite/policy"
KEYFILE_PATH = "etc/cryptsetup-keys.d/luks.key"

OVERLAY = "overlay"
"""In the place of a mount point: the volume that has the overlay's upper and work directories."""


@dataclass(frozen=True, slots=True)
class Fec:
    """Forward error correction data: `offset` bytes into the partition with the hash tree."""

    offset: int
    roots: int


@dataclass(frozen=True, slots=True)
class VerityDevice:
    """One dm-verity device. The superblock, which has salt, algorithm and block sizes, stands
    at `hash_offset` bytes into the partition `hash_partuuid`; None: into the device's own.

    `mountpoint` "/" is the root; every other one is mounted below it, with `options`.
    `metadata_offset` is where in the device's partition a KIWI metadata block stands, in bytes.
    """

    mapping: str
    partuuid: UUID
    root_hash: str
    hash_offset: int
    mountpoint: str
    filesystem: str
    hash_partuuid: UUID | None = None
    fec: Fec | None = None
    metadata_offset: int | None = None
    options: str = "ro,nosuid,nodev"

    def records(self) -> list[str]:
        """The device's lines."""
        line = (
            f"verity {self.mapping} {self.partuuid} {self.root_hash}"
            f" {self.hash_partuuid or self.partuuid} {self.hash_offset}"
            f" {self.mountpoint} {self.filesystem}"
        )
        lines = [line if self.mountpoint == "/" else f"{line} {self.options}"]
        if self.fec is not None:
            lines.append(f"fec {self.mapping} {self.fec.offset} {self.fec.roots}")
        if self.metadata_offset is not None:
            lines.append(f"metadata {self.mapping} {self.metadata_offset}")
        return lines


@dataclass(frozen=True, slots=True)
class Volume:
    """An encrypted volume, provisioned at the first boot or when the image was built.

    `volume_id` is its LUKS2 label and what a provisioning mark in the partition carries;
    another id belongs to another image. `mountpoint` is OVERLAY or a folder of the image.
    A factory reset makes the overlay anew, and data volumes with `reset`.
    """

    mapping: str
    partuuid: UUID
    volume_id: UUID
    filesystem: str
    mountpoint: str = OVERLAY
    reset: bool = False
    options: str = "nosuid,nodev,noatime"
    """Those a data volume is mounted with."""

    def records(self) -> list[str]:
        """The volume's lines."""
        line = (
            f"volume {self.mapping} {self.partuuid} {self.volume_id} {self.filesystem}"
            f" /{KEYFILE_PATH} {self.mountpoint}"
        )
        if self.mountpoint == OVERLAY:
            return [line]
        return [f"{line} {self.options}", *([f"reset {self.partuuid}"] if self.reset else [])]


@dataclass(frozen=True, slots=True)
class PlainPartition:
    """A data partition without encryption that a factory reset makes anew.

    What the root file system has below `mountpoint` is copied into it then.
    """

    partuuid: UUID
    filesystem: str
    mountpoint: str
    label: str


@dataclass(frozen=True, slots=True)
class Grow:
    """The last partition, which grows with the disk: at every boot, or until it once did."""

    when: Literal["always", "once"]
    partuuid: UUID


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the boot hook may do; what is not here is refused.

    `format_options` go to `cryptsetup luksFormat` for every volume; a header that asks for
    other encryption is refused. `trees` are the folders an overlay lies over; none: all of /.
    """

    image: str
    version: str
    verity: tuple[VerityDevice, ...]
    volumes: tuple[Volume, ...]
    switches: tuple[str, ...]
    on_failure: OnFailure
    format_options: tuple[tuple[str, str], ...] = ()
    on_corruption: OnCorruption = "eio"
    trees: tuple[str, ...] = ()
    resettable: tuple[PlainPartition, ...] = ()
    grow: Grow | None = None

    def render(self) -> bytes:
        """The policy file's bytes."""
        lines = [f"image {self.image} {self.version}"]
        lines += [line for device in self.verity for line in device.records()]
        lines.append(f"on-corruption {self.on_corruption}")
        lines += [line for volume in self.volumes for line in volume.records()]
        lines += [f"format {name} {value}".rstrip() for name, value in self.format_options]
        lines += [f"tree {path}" for path in self.trees]
        lines += [
            f"plain {p.partuuid} {p.filesystem} {p.mountpoint} {p.label}" for p in self.resettable
        ]
        if self.grow is not None:
            lines.append(f"grow {self.grow.when} {self.grow.partuuid}")
        lines += [f"switch {name}" for name in self.switches]
        lines.append(f"on-failure {self.on_failure}")
        return ("\n".join(lines) + "\n").encode()


def policy_archive(policy: Policy, keyfile: bytes | None, *, epoch: int) -> bytes:
    """The initrd's small archive, with policy and key file: a multiple of 4 bytes, uncompressed.

    It is put in front of the large one (`initrd`); the kernel unpacks both.
    """
    entries = [cpio.regular(POLICY_PATH, policy.render(), 0o400)]
    if keyfile is not None:
        entries.append(cpio.regular(KEYFILE_PATH, keyfile, 0o400))
    return cpio.write(entries, mtime=epoch)
