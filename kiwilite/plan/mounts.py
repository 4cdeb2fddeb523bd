"""How the image mounts its data partitions: lines of /etc/fstab, and their options."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description.model import Appliance, ImageType, PartitionElement
from kiwilite.plan import disk as d

# Root trees of other systems stand there: their programs have setuid bits, and a storage
# driver that copies layers instead of overlaying them keeps device nodes.
_OTHER_SYSTEMS: Final = (
    "/srv",
    "/var/lib/buildah",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/kubelet",
    "/var/lib/lxc",
    "/var/lib/machines",
    "/var/lib/portables",
)

# Programs are installed there, some of them with a setuid bit; no device node belongs there.
_PROGRAMS: Final = ("/bin", "/lib", "/lib64", "/nix", "/opt", "/sbin", "/usr")


def _within(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def mount_options(partition: PartitionElement) -> str:
    """The options a writable partition is mounted with, as fstab has them.

    Those of the description in place of ours, where it has any.
    """
    if partition.mountoptions:
        return partition.mountoptions
    return ",".join((*restrictions(partition.mountpoint or ""), "noatime"))


def verified_options(path: str) -> str:
    """The options the initrd mounts a verified partition with; the description has no say."""
    return ",".join(("ro", *restrictions(path)))


def restrictions(path: str) -> tuple[str, ...]:
    """What `nosuid` and `nodev` can be had below `path` without harm."""
    plain = "/" + "/".join(part for part in path.split("/") if part)
    if _within(plain, _OTHER_SYSTEMS):
        return ()
    if _within(plain, _PROGRAMS):
        return ("nodev",)
    return ("nosuid", "nodev")


def mount_points(kind: ImageType) -> tuple[str, ...]:
    """Where partitions are mounted, by whomever, in the table's order."""
    return tuple(p.mountpoint for p in d.data_partitions(kind) if p.mountpoint)


def fstab(appliance: Appliance) -> tuple[str, ...]:
    """A line for each partition that the system mounts: the writable, unencrypted ones.

    The initrd mounts the others, because it alone has root hashes and keys. ext2 to ext4
    are checked at boot; xfs repairs itself when it is mounted.
    """
    return tuple(_lines(appliance))


def _lines(appliance: Appliance) -> Iterator[str]:
    for p in d.data_partitions(appliance.type):
        if p.mountpoint and p.filesystem != d.SQUASHFS and not p.encrypted:
            guid = d.partition_guid(appliance, p.name)
            check = 2 if p.filesystem and p.filesystem.startswith("ext") else 0
            yield f"PARTUUID={guid} {p.mountpoint} {p.filesystem} {mount_options(p)} 0 {check}"
