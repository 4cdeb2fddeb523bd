"""What the boot makes, resets, grows and obeys, as the description says it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from kiwilite.description.model import ImageType, PartitionElement
from kiwilite.plan import disk as d
from kiwilite.plan.identity import derived_uuid
from kiwilite.plan.image_steps import GrowTarget, PlainTarget, VolumeTarget
from kiwilite.plan.mounts import mount_options
from kiwilite.plan.nodes import RESET_SWITCH, Context

SWITCHES: Final = ("rd.root.overlay.temporary", "rd.root.overlay.readonly")
"""Words of a kernel command line that change what the boot does with the overlay."""


def kept_in_root(partition: PartitionElement) -> bool:
    """Whether the root has the partition's content, for the device to fill it with."""
    return partition.filesystem != d.SQUASHFS and (partition.encrypted or partition.reset)


def encrypted(kind: ImageType) -> tuple[PartitionElement, ...]:
    """Data partitions that each device encrypts and fills at its first boot."""
    rows = d.data_partitions(kind)
    return tuple(p for p in rows if p.encrypted and p.filesystem != d.SQUASHFS and p.mountpoint)


def data_volume_id(context: Context, name: str) -> UUID:
    """The LUKS2 label of data partition `name`, and what its provisioning mark carries."""
    return derived_uuid(context.seed, f"volume {name}")


def volume_targets(context: Context) -> tuple[VolumeTarget, ...]:
    """The encrypted data partitions, in the table's order."""
    return tuple(
        VolumeTarget(
            mapping=f"luks-{p.name}",
            partuuid=d.partition_guid(context.appliance, p.name),
            volume_id=data_volume_id(context, p.name),
            filesystem=p.filesystem or "",
            mountpoint=p.mountpoint or "",
            reset=p.reset,
            options=mount_options(p),
        )
        for p in encrypted(context.appliance.type)
    )


def plain_targets(context: Context) -> tuple[PlainTarget, ...]:
    """The unencrypted data partitions that a factory reset makes anew."""
    return tuple(
        PlainTarget(
            partuuid=d.partition_guid(context.appliance, p.name),
            filesystem=p.filesystem or "",
            mountpoint=p.mountpoint or "",
            label=d.file_system_label(p),
        )
        for p in d.data_partitions(context.appliance.type)
        if kept_in_root(p) and not p.encrypted and p.mountpoint
    )


def filesystems(kind: ImageType) -> tuple[str, ...]:
    """The file systems that the boot makes beside the overlay's, each once."""
    made = {p.filesystem for p in d.data_partitions(kind) if kept_in_root(p) and p.filesystem}
    return tuple(sorted(name for name in made if name))


def grow_target(context: Context) -> GrowTarget | None:
    """The overlay's partition, which is the last one, where it is to grow with the disk."""
    kind = context.appliance.type
    if kind.grow == "never" or kind.overlay is None or not kind.overlay.write_partition:
        return None
    return GrowTarget(kind.grow, d.partition_guid(context.appliance, d.READ_WRITE))


def switches(kind: ImageType) -> tuple[str, ...]:
    """What the policy honours: factory reset where there is a volume, what the description
    allows, and what its own kernel command line has.
    """
    volume = kind.overlay is not None and kind.overlay.luks is not None
    wanted = [RESET_SWITCH] if volume else []
    wanted += kind.boot_switches
    wanted += [word for word in kind.kernelcmdline.split() if word in SWITCHES]
    return tuple(dict.fromkeys(wanted))
