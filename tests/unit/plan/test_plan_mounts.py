"""/etc/fstab: which partitions, by what name, and with which restrictions."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plan_samples import plan_of, x86

from kiwilite.description.model import Appliance, PartitionElement
from kiwilite.plan import steps as s
from kiwilite.plan.disk import partition_guid
from kiwilite.plan.mounts import fstab, mount_options

HOME = x86().type.partitions[0]


def with_partitions(*rows: PartitionElement) -> Appliance:
    appliance = x86()
    return replace(appliance, type=replace(appliance.type, partitions=rows))


def data(mountpoint: str, filesystem: str = "ext4") -> PartitionElement:
    name = mountpoint.strip("/").replace("/", "-")
    return replace(HOME, name=name, mountpoint=mountpoint, filesystem=filesystem)


@pytest.mark.parametrize(
    ("filesystem", "check"), [("ext2", 2), ("ext3", 2), ("ext4", 2), ("xfs", 0)]
)
def test_a_writable_partition_is_mounted_by_partuuid_and_ext_is_checked(
    filesystem: str, check: int
) -> None:
    appliance = with_partitions(data("/home", filesystem))
    guid = partition_guid(appliance, "home")
    assert fstab(appliance) == (
        f"PARTUUID={guid} /home {filesystem} nosuid,nodev,noatime 0 {check}",
    )


def test_what_the_initrd_mounts_is_not_in_fstab() -> None:
    rows = (
        data("/verified", "squashfs"),
        replace(data("/secret"), encrypted=True),
        replace(data("/raw"), filesystem=None),
        replace(data("/nowhere"), mountpoint=None),
        replace(data("/again"), reset=True),
    )
    assert [line.split()[1] for line in fstab(with_partitions(*rows))] == ["/again"]


def test_the_tree_gets_the_mount_points_of_what_the_initrd_mounts_too() -> None:
    rows = (
        data("/verified", "squashfs"),
        replace(data("/secret"), encrypted=True),
        replace(data("/raw"), filesystem=None),
        data("/home"),
    )
    step = plan_of(with_partitions(*rows)).node("customise").step
    assert isinstance(step, s.Customise)
    assert step.mount_points == ("/verified", "/secret", "/home")


@pytest.mark.parametrize(
    ("mountpoint", "options"),
    [
        ("/home", "nosuid,nodev,noatime"),
        ("/var", "nosuid,nodev,noatime"),
        ("/var/log/", "nosuid,nodev,noatime"),
        ("/var/lib/dockerish", "nosuid,nodev,noatime"),
        ("/opt", "nodev,noatime"),
        ("//usr//local", "nodev,noatime"),
        ("/optional", "nosuid,nodev,noatime"),
        ("/srv", "noatime"),
        ("/var/lib/containers/storage", "noatime"),
        ("/var/lib/docker", "noatime"),
        ("/var/lib/machines/", "noatime"),
    ],
)
def test_setuid_programs_and_devices_work_only_where_systems_and_programs_are_kept(
    mountpoint: str, options: str
) -> None:
    assert mount_options(data(mountpoint)) == options


@pytest.mark.parametrize(
    ("mountpoint", "options"),
    [
        ("/srv/www", "ro"),
        ("/usr/", "ro,nodev"),
        ("/opt/tools", "ro,nodev"),
        ("/data", "ro,nosuid,nodev"),
    ],
)
def test_a_verified_partition_with_programs_keeps_their_setuid_bits(
    mountpoint: str, options: str
) -> None:
    step = plan_of(with_partitions(data(mountpoint, "squashfs"))).node("uki").step
    assert isinstance(step, s.Uki)
    (_, target) = step.verity
    assert target.options == options


def test_options_of_the_description_stand_in_place_of_ours() -> None:
    appliance = with_partitions(replace(data("/home"), mountoptions="ro,x-systemd.automount"))
    assert fstab(appliance)[0].split()[3] == "ro,x-systemd.automount"
