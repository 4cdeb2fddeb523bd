"""Data volumes, growth with the disk, and volumes made with the image, on a real kernel."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from initrd_guest import (
    HOME,
    HOME_ID,
    HOME_PARTUUID,
    MIB,
    OVERLAY,
    OVERLAY_PARTUUID,
    VOLUME_ID,
    Appliance,
    Outcome,
)

from kiwilite.boot.mark import provisioning_mark
from kiwilite.boot.policy import Grow, Volume
from kiwilite.build.luks_volume import VolumeIdentity, geometry_for, write_volume
from kiwilite.ondisk import gpt
from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.luks2.kdf import Pbkdf2

pytestmark = pytest.mark.vm

HOME_VOLUME = Volume("home", HOME_PARTUUID, HOME_ID, "ext4", "/home", options="nosuid,nodev")
GROW = Grow("always", OVERLAY_PARTUUID)
LARGER = 96 * MIB
CHECK = """
busybox df -k / | busybox tail -n 1
umount /home 2>/dev/null
cat /home/welcome
"""


def enlarge(appliance: Appliance, by: int = LARGER) -> None:
    os.truncate(appliance.disk, appliance.disk.stat().st_size + by)


def table(appliance: Appliance) -> gpt.Gpt:
    with appliance.disk.open("rb") as disk:
        return gpt.read(disk)


def overlay_kib(outcome: Outcome) -> int:
    line = next(x for x in outcome.text.splitlines() if x.startswith("OverlayOS_rootfs "))
    return int(line.split()[1])


def with_home(appliance: Appliance) -> Appliance:
    appliance.write(HOME[0], provisioning_mark(HOME_ID))
    return appliance.with_policy(volumes=(*appliance.policy.volumes, HOME_VOLUME))


def test_a_data_volume_is_provisioned_with_what_the_image_has_there(fresh: Appliance) -> None:
    appliance = with_home(fresh)
    outcome = appliance.boot(do="busybox ls -l /home/; echo mine >/home/own; sync")
    assert "provisioning the /home volume on /dev/vda4 (marked)" in outcome.text
    assert "mount: /dev/mapper/home /home ext4 rw,nosuid,nodev" in outcome.text
    assert "-rw-r-----" in outcome.text
    outcome = appliance.boot(do="cat /home/own /home/welcome; cryptsetup status home")
    assert "opening the /home volume" in outcome.text
    assert "\nmine" in outcome.text
    assert "\nmade with the image, home" in outcome.text
    assert outcome.status("home", "integrity") == "aead"


def test_on_a_larger_disk_the_first_boot_provisions_all_of_it(fresh: Appliance) -> None:
    enlarge(fresh)
    outcome = fresh.with_policy(grow=GROW).boot("gpt", do=CHECK)
    assert outcome.reached_init, outcome.text
    (overlay,) = [p for p in table(fresh).partitions if p.unique_guid == OVERLAY_PARTUUID]
    assert overlay.sectors * 512 == OVERLAY[1] + LARGER
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]


def test_a_volume_in_use_grows_with_the_disk_and_keeps_what_it_has(used: Appliance) -> None:
    enlarge(used)
    growing = used.with_policy(grow=GROW, switches=("rd.root.overlay.temporary",))
    outcome = growing.boot("gpt", do=CHECK)
    assert "growing the file system of the overlay volume" in outcome.text
    assert "note: kept" in outcome.text
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]
    outcome = growing.boot("gpt", "rd.root.overlay.temporary", "inspect")
    assert "growing" not in outcome.text
    assert "blkid: 0" in outcome.text
    assert "xfs_repair: 0" in outcome.text


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
def test_growth_that_stops_at_any_moment_is_completed(
    used: Appliance, moment: str, delay: float
) -> None:
    enlarge(used)
    growing = used.with_policy(grow=GROW)
    growing.boot_until(moment, delay, "gpt")
    outcome = growing.boot("gpt", do=CHECK)
    assert "note: kept" in outcome.text, outcome.text
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]
    assert table(used).partitions


def test_a_damaged_table_is_restored_from_its_backup(used: Appliance) -> None:
    before = table(used)
    used.write(512, bytes(512))
    outcome = used.with_policy(grow=GROW).boot("gpt")
    assert "the partition table is damaged: restoring it from its backup" in outcome.text
    assert "note: kept" in outcome.text
    assert table(used) == before


def made_with_the_image(appliance: Appliance, directory: Path) -> Appliance:
    """The overlay's volume from our own writer, sparse: xts with hmac, 4096 bytes."""
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("needs mkfs.xfs")
    chosen = encryption("aes-xts-plain64", "hmac-sha256", 4096)
    size = OVERLAY[1]
    filesystem, image = directory / "filesystem", directory / "volume"
    with filesystem.open("wb") as file:
        file.truncate(geometry_for(size, chosen, "written").provided_bytes)
    features = ["-i", "nrext64=0", "-m", "bigtime=0,inobtcount=0"]
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", *features, "-s", "size=4096", filesystem], check=True
    )  # fmt: skip
    write_volume(
        image, size, filesystem, chosen, [("main", appliance.key, Pbkdf2("sha256", 1000))],
        VolumeIdentity(uuid4(), VOLUME_ID), fill="sparse", journal="written",
    )  # fmt: skip
    subprocess.run(
        ["dd", f"if={image}", f"of={appliance.disk}", "bs=1M", f"seek={OVERLAY[0] // MIB}",
         "conv=notrunc,sparse", "status=none"],
        check=True,
    )  # fmt: skip
    options = (
        ("--cipher", "aes-xts-plain64"), ("--key-size", "512"), ("--integrity", "hmac-sha256"),
        ("--sector-size", "4096"), ("--pbkdf", "pbkdf2"), ("--pbkdf-force-iterations", "1000"),
    )  # fmt: skip
    return appliance.with_policy(format_options=options)


READ_ALL = "dd if=/dev/mapper/luks of=/dev/null bs=1M && echo whole: readable"


@pytest.fixture
def sparse(factory: Appliance, tmp_path: Path) -> Appliance:
    blank = factory.copy(tmp_path)
    blank.write(OVERLAY[0], bytes(64 * 1024))
    return made_with_the_image(blank, tmp_path)


def test_the_holes_of_a_sparse_volume_are_filled_once(sparse: Appliance) -> None:
    outcome = sparse.boot("note=kept", do=READ_ALL)
    assert "opening the overlay volume on /dev/vda3 (sparse)" in outcome.text
    assert "writing zeros to the overlay volume, once: 0 %" in outcome.text
    assert "whole: readable" in outcome.text
    outcome = sparse.boot()
    assert "writing zeros" not in outcome.text
    assert "note: kept" in outcome.text


def test_a_sparse_volume_on_a_larger_disk_is_filled_and_grows(sparse: Appliance) -> None:
    enlarge(sparse)
    growing = sparse.with_policy(grow=Grow("once", OVERLAY_PARTUUID))
    growing.boot_until("writing zeros to the overlay volume", 1.5, "gpt")
    outcome = growing.boot("gpt", do=READ_ALL + CHECK)
    assert "(sparse)" in outcome.text
    assert "whole: readable" in outcome.text
    assert overlay_kib(outcome) * 1024 > OVERLAY[1]
