"""The policy file of the initrd: what must hold before the root file system is handed over.

It travels inside the (signed) UKI and is the only thing the boot hook trusts. The
text form is one record per line, fields separated by single spaces, so that a
POSIX shell reads it without a parser:

    image NAME VERSION
    verity MAPPING PARTUUID ROOTHASH HASH_OFFSET MOUNTPOINT FSTYPE
    overlay MAPPING PARTUUID VOLUME_ID FSTYPE KEYFILE
    format OPTION [VALUE]             (one per luksFormat option, in order)
    switch NAME                       (kernel command line switches that are honoured)
    on-failure reboot|halt|shell
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

OnFailure = Literal["reboot", "halt", "shell"]

POLICY_PATH = "etc/kiwilite/policy"
KEYFILE_PATH = "etc/cryptsetup-keys.d/luks.key"


@dataclass(frozen=True, slots=True)
class VerityDevice:
    """One dm-verity device; the superblock stands at `hash_offset` bytes into the partition.

    `mountpoint` "/" is the root; every other one is mounted below it, read-only.
    """

    mapping: str
    partuuid: UUID
    root_hash: str
    hash_offset: int
    mountpoint: str
    filesystem: str


@dataclass(frozen=True, slots=True)
class OverlayVolume:
    """The encrypted volume that holds the overlay's upper and work directories.

    `volume_id` is what the provisioning mark in the partition carries; a mark with
    another id belongs to another image. `format_options` go to `cryptsetup luksFormat`.
    """

    mapping: str
    partuuid: UUID
    volume_id: UUID
    filesystem: str
    format_options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything the boot hook may do; what is not here is refused."""

    image: str
    version: str
    verity: tuple[VerityDevice, ...]
    overlay: OverlayVolume | None
    switches: tuple[str, ...]
    on_failure: OnFailure

    def render(self) -> bytes:
        """The policy file's bytes."""
        lines = [f"image {self.image} {self.version}"]
        lines += [
            f"verity {d.mapping} {d.partuuid} {d.root_hash} {d.hash_offset}"
            f" {d.mountpoint} {d.filesystem}"
            for d in self.verity
        ]
        if self.overlay is not None:
            o = self.overlay
            lines.append(
                f"overlay {o.mapping} {o.partuuid} {o.volume_id} {o.filesystem} /{KEYFILE_PATH}"
            )
            lines += [f"format {name} {value}".rstrip() for name, value in o.format_options]
        lines += [f"switch {name}" for name in self.switches]
        lines.append(f"on-failure {self.on_failure}")
        return ("\n".join(lines) + "\n").encode()
