"""What a device makes, resets, grows and obeys follows from the description."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from plan_samples import plan_of, x86

from kiwilite.description.model import Appliance, ImageType, PartitionElement
from kiwilite.plan import steps as s
from kiwilite.plan.disk import partition_guid
from kiwilite.plan.image_steps import GrowTarget
from kiwilite.plan.nodes import RESET_SWITCH, Plan
from kiwilite.plan.writable import switches

HOME = x86().type.partitions[0]
SECRET = replace(HOME, name="secret", mountpoint="/secret", encrypted=True)
AGAIN = replace(HOME, name="again", mountpoint="/again", filesystem="xfs", reset=True, label="A")
PLAIN = replace(HOME, name="plain", mountpoint="/plain")


def appliance_with(*rows: PartitionElement) -> Appliance:
    appliance = x86()
    return replace(appliance, type=replace(appliance.type, partitions=rows))


def changed(kind: ImageType, **changes: object) -> Appliance:
    return replace(x86(), type=replace(kind, **changes))  # type: ignore[arg-type]


def uki(plan: Plan) -> s.Uki:
    step = plan.node("uki").step
    assert isinstance(step, s.Uki)
    return step


def disk(plan: Plan) -> s.Disk:
    step = plan.node("disk").step
    assert isinstance(step, s.Disk)
    return step


def boot_files(plan: Plan) -> s.BootFiles:
    step = plan.node("boot-files").step
    assert isinstance(step, s.BootFiles)
    return step


def root(plan: Plan) -> s.Squashfs:
    step = plan.node("root").step
    assert isinstance(step, s.Squashfs)
    return step


def test_an_encrypted_partition_is_a_mark_in_the_image_and_a_volume_for_the_boot() -> None:
    appliance = appliance_with(SECRET, PLAIN)
    plan = plan_of(appliance)
    (volume,) = uki(plan).volumes
    assert (volume.mapping, volume.mountpoint, volume.filesystem, volume.reset) == (
        "luks-secret",
        "/secret",
        "ext4",
        False,
    )
    assert volume.partuuid == partition_guid(appliance, "secret")
    assert volume.options == "nosuid,nodev,noatime"
    assert ("secret", volume.volume_id) in disk(plan).marks
    assert "secret" not in {node.name for node in plan.nodes}
    assert "secret" not in dict(disk(plan).contents)
    assert "plain" in dict(disk(plan).contents)


def test_volumes_have_different_ids() -> None:
    plan = plan_of(appliance_with(SECRET, replace(SECRET, name="b", mountpoint="/b")))
    ids = [volume_id for _, volume_id in disk(plan).marks]
    assert len(set(ids)) == len(ids) == 3


def test_what_a_device_fills_stays_in_the_root_and_the_rest_does_not() -> None:
    plan = plan_of(appliance_with(SECRET, AGAIN, PLAIN))
    assert root(plan).leave_out == ("/plain",)


def test_a_partition_that_is_reset_is_made_by_the_build_and_by_the_reset() -> None:
    appliance = appliance_with(AGAIN, PLAIN)
    plan = plan_of(appliance)
    (target,) = uki(plan).resettable
    assert (target.filesystem, target.mountpoint, target.label) == ("xfs", "/again", "A")
    assert target.partuuid == partition_guid(appliance, "again")
    assert "again" in dict(disk(plan).contents)
    assert uki(plan).volumes == ()


def test_an_encrypted_partition_that_is_reset_is_a_volume_that_is_reset() -> None:
    plan = plan_of(appliance_with(replace(SECRET, reset=True)))
    assert [v.reset for v in uki(plan).volumes] == [True]
    assert uki(plan).resettable == ()


def test_the_initrd_gets_tools_for_what_it_makes() -> None:
    plan = plan_of(appliance_with(SECRET, AGAIN, PLAIN))
    assert boot_files(plan).filesystems == ("ext4", "xfs")
    assert boot_files(plan_of(x86())).filesystems == ()


@pytest.mark.parametrize("when", ["always", "once", "never"])
def test_the_overlay_s_partition_grows_when_the_description_says_so(
    when: Literal["always", "once", "never"],
) -> None:
    appliance = changed(x86().type, grow=when)
    plan = plan_of(appliance)
    expected = None
    if when != "never":
        expected = GrowTarget(when, partition_guid(appliance, "p.lxroot"))
    assert uki(plan).grow == expected
    assert boot_files(plan).grows is (when != "never")


def test_the_trees_of_the_overlay_reach_the_boot() -> None:
    overlay = x86().type.overlay
    assert overlay is not None
    appliance = changed(x86().type, overlay=replace(overlay, trees=("/etc", "/var")))
    assert uki(plan_of(appliance)).trees == ("/etc", "/var")
    assert uki(plan_of(x86())).trees == ()


@pytest.mark.parametrize(
    ("line", "allowed", "honoured"),
    [
        ("quiet", (), ()),
        ("quiet rd.root.overlay.temporary", (), ("rd.root.overlay.temporary",)),
        ("quiet", ("rd.root.overlay.readonly",), ("rd.root.overlay.readonly",)),
        (
            "rd.root.overlay.readonly",
            ("rd.root.overlay.readonly", "rd.root.overlay.temporary"),
            ("rd.root.overlay.readonly", "rd.root.overlay.temporary"),
        ),
        ("xrd.root.overlay.temporary rd.root.overlay.temporary=1", (), ()),
    ],
)
def test_a_device_obeys_what_its_description_allows_or_has_itself(
    line: str, allowed: tuple[str, ...], honoured: tuple[str, ...]
) -> None:
    kind = replace(x86().type, kernelcmdline=line, boot_switches=allowed)
    assert switches(kind) == (RESET_SWITCH, *honoured)


def test_without_a_volume_there_is_no_factory_reset() -> None:
    overlay = x86().type.overlay
    assert overlay is not None
    kind = replace(x86().type, overlay=replace(overlay, luks=None, write_partition=False))
    assert switches(kind) == ()
