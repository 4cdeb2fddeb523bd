"""Data volumes, growth with the disk, and volumes made with the image, on a real kernel."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from built_volume import made_with_the_image
from initrd_guest import (
    HOME,
    HOME_ID,
    HOME_PARTUUID,
    MIB,
    OVERLAY,
    OVERLAY_PARTUUID,
    Appliance,
    Outcome,
)

from kiwilite.boot.mark import provisioning_mark
from kiwilite.boot.policy import Grow, Volume
from kiwilite.ondisk import gpt
from kiwilite.plan.disk import GROWS_ONCE

pytestmark = pytest.mark.vm

HOME_VOLUME = Volume("home", HOME_PARTUUID, HOME_ID, "ext4", "/home", options="nosuid,nodev")
GROW = Grow("always", OVERLAY_PARTUUID)
LARGER = 96 * MIB
CHECK = """
busybox df -k / | busybox tail -n 1
"""
CHECK_FIRST = CHECK + "busybox ls -l /home/; echo mine >/home/own; sync"


def enlarge(appliance: Appliance, by: int = LARGER) -> None:
    os.truncate(appliance.disk, appliance.disk.stat().st_size + by)


def table(appliance: Appliance) -> gpt.Gpt:
    with appliance.disk.open("rb") as disk:
        return gpt.read(disk)


def may_grow_once(appliance: Appliance) -> Appliance:
    """With the mark that an image has whose last partition may grow once."""
    before = table(appliance)
    marked = tuple(
        replace(p, attributes=GROWS_ONCE) if p.unique_guid == OVERLAY_PARTUUID else p
        for p in before.partitions
    )
    areas = gpt.write(replace(before, partitions=marked))
    appliance.write(areas.primary_offset, areas.primary)
    appliance.write(areas.backup_offset, areas.backup)
    return appliance.with_policy(grow=Grow("once", OVERLAY_PARTUUID))


def overlay_kib(outcome: Outcome) -> int:
    line = next(x for x in outcome.text.splitlines() if x.startswith("OverlayOS_rootfs "))
    return int(line.split()[1])


def with_home(appliance: Appliance) -> Appliance:
    appliance.write(HOME[0], provisioning_mark(HOME_ID))
    return appliance.with_policy(volumes=(*appliance.policy.volumes, HOME_VOLUME))


@dataclass(frozen=True, slots=True)
class Larger:
    """The first and the second boot on a disk larger than the image, with a data volume.

    In between, the primary partition table was damaged.
    """

    first: Outcome
    second: Outcome
    overlay_bytes: int
    table_came_back: bool


@pytest.fixture(scope="module")
def larger(factory: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Larger:
    fresh = factory.copy(tmp_path_factory.mktemp("larger"))
    enlarge(fresh)
    appliance = with_home(fresh).with_policy(grow=GROW)
    first = appliance.boot("gpt", do=CHECK_FIRST)
    before = table(appliance)
    (overlay,) = [p for p in before.partitions if p.unique_guid == OVERLAY_PARTUUID]
    appliance.write(512, bytes(512))
    second = appliance.boot("gpt", do="cat /home/own /home/welcome; cryptsetup status home")
    return Larger(first, second, overlay.sectors * 512, table(appliance) == before)


def test_on_a_larger_disk_the_first_boot_provisions_all_of_it(larger: Larger) -> None:
    assert larger.first.reached_init, larger.first.text
    assert larger.overlay_bytes == OVERLAY[1] + LARGER
    assert overlay_kib(larger.first) * 1024 > OVERLAY[1]


def test_a_data_volume_is_provisioned_with_what_the_image_has_there(larger: Larger) -> None:
    assert "provisioning the /home volume on /dev/vda4 (marked)" in larger.first.text
    assert "mount: /dev/mapper/home /home ext4 rw,nosuid,nodev" in larger.first.text
    assert "-rw-r-----" in larger.first.text
    assert "opening the /home volume" in larger.second.text
    assert "\nmine" in larger.second.text
    assert "\nmade with the image, home" in larger.second.text
    assert larger.second.status("home", "integrity") == "aead"


def test_a_damaged_table_is_restored_from_its_backup(larger: Larger) -> None:
    said = "the partition table is damaged: restoring it from its backup"
    assert said in larger.second.text
    assert larger.second.reached_init
    assert larger.table_came_back


@pytest.mark.parametrize(
    ("moment", "delay"),
    [
        ("growing the file system", 0.5),
        *(
            pytest.param(moment, delay, marks=pytest.mark.soak)
            for moment in ("growing /dev/vda3", "growing the file system")
            for delay in (0.1, 1.1, 2.3, 4.1)
        ),
    ],
)
def test_a_volume_in_use_grows_even_if_that_stops_at_any_moment_and_keeps_what_it_has(
    used: Appliance, moment: str, delay: float
) -> None:
    enlarge(used)
    growing = used.with_policy(grow=GROW, switches=("rd.root.overlay.temporary",))
    growing.boot_until(moment, delay, "gpt")
    outcome = growing.boot("gpt", do=CHECK)
    assert "note: kept" in outcome.text, outcome.text
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]
    outcome = growing.boot("gpt", "rd.root.overlay.temporary", "inspect")
    assert "growing" not in outcome.text
    assert "blkid: 0" in outcome.text
    assert "xfs_repair: 0" in outcome.text


READ_ALL = "dd if=/dev/mapper/luks of=/dev/null bs=1M && echo whole: readable"
READ_END = "dd if=/dev/mapper/luks of=/dev/null bs=1M skip=320 && echo end: readable"


def test_the_holes_of_a_sparse_volume_on_a_larger_disk_are_filled_once_and_it_grows(
    fresh: Appliance, tmp_path: Path
) -> None:
    growing = may_grow_once(made_with_the_image(fresh, tmp_path, "sparse"))
    enlarge(growing)
    growing.boot_until("writing zeros to the overlay volume", 1.5, "gpt")
    outcome = growing.boot("gpt", "note=kept", do=READ_ALL + CHECK)
    assert "opening the overlay volume on /dev/vda3 (sparse)" in outcome.text
    assert "whole: readable" in outcome.text
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]
    outcome = growing.boot("gpt")
    assert "writing zeros" not in outcome.text
    assert "note: kept" in outcome.text


def test_a_full_volume_grows_once_and_only_what_is_new_is_filled(
    fresh: Appliance, tmp_path: Path
) -> None:
    growing = may_grow_once(made_with_the_image(fresh, tmp_path, "full"))
    enlarge(growing)
    outcome = growing.boot("gpt", do=READ_END + CHECK)
    assert "end: readable" in outcome.text
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]
    # 128 MiB are written at a time, and the whole volume has more than 400
    assert outcome.text.count("writing zeros to the overlay volume, once") == 1
    assert "growing the file system of the overlay volume" in outcome.text
