"""The initrd on a real kernel: what reaches init, and what must not."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from initrd_guest import (
    DATA_PARTUUID,
    OVERLAY,
    OVERLAY_PARTUUID,
    ROOT,
    ROOT_PARTUUID,
    VOLUME_ID,
    Appliance,
    Outcome,
    refused,
)

from kiwilite.boot.mark import mark_line, provisioning_mark
from kiwilite.vm.machine import Disk

pytestmark = pytest.mark.vm

OTHER_ID = UUID("00000000-0000-4000-8000-00000000dead")
LAST_BLOCK = OVERLAY[0] + OVERLAY[1] - 4096
OWN_DEVICES = (
    "root=overlay:MAPPER=verityRoot",
    f"verityroot=/dev/disk/by-partuuid/{str(ROOT_PARTUUID).upper()}",
    f"rd.root.overlay.write=PARTUUID={OVERLAY_PARTUUID}",
)
OTHER_DEVICES = (
    f"root=overlay:PARTUUID={DATA_PARTUUID}",
    "verityroot=UNIXNODE=vda2",
    "rd.root.overlay.write=/dev/vda2",
)
SHADOW = """
echo x >/var/welcome; rm /home/welcome; rm -r /plain; mkdir /plain
sh /usr/sbin/kiwilite-overlay list
"""


@pytest.fixture(scope="module")
def second_boot(
    first_boot: tuple[Appliance, Outcome], tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    """The second boot of a disk, in bad company.

    One of the LUKS2 headers and one block of a verified file are damaged, another disk has a
    partition with the overlay's PARTUUID, and the command line asks for what is not allowed.
    """
    directory = tmp_path_factory.mktemp("second")
    appliance = first_boot[0].copy(directory)
    other = directory / "other.raw"
    shutil.copyfile(appliance.disk, other)
    subprocess.run(["sfdisk", "--quiet", "--part-uuid", other, "1", str(UUID(int=77))], check=True)
    appliance.flip_bit(OVERLAY[0] + 4100)
    appliance.flip_bit(ROOT[0] + appliance.read(*ROOT).index(appliance.blob[4096:4160]))
    appliance = replace(appliance, extra_disks=(Disk(other, format="raw"),))
    return appliance.boot("kiwilite.factory-reset", *OWN_DEVICES, *OTHER_DEVICES, do=SHADOW)


@pytest.fixture(scope="module")
def read_only(
    first_boot: tuple[Appliance, Outcome], tmp_path_factory: pytest.TempPathFactory
) -> Outcome:
    """A boot that does not open the volume, which can be looked at, so."""
    switch = "rd.root.overlay.readonly"
    appliance = first_boot[0].copy(tmp_path_factory.mktemp("read-only"))
    return appliance.with_policy(switches=(switch,)).boot(switch, "note=impossible", "inspect")


def test_first_boot_provisions_the_volume_and_reaches_init(
    first_boot: tuple[Appliance, Outcome], record_property: Callable[[str, object], None]
) -> None:
    appliance, outcome = first_boot
    record_property("seconds until init", outcome.handed_over_after)
    assert outcome.reached_init, outcome.text
    assert "provisioning the overlay volume on /dev/vda3 (marked)" in outcome.text
    assert "note: none" in outcome.text
    assert "mount: OverlayOS_rootfs / overlay rw," in outcome.text
    assert "mount: /dev/mapper/verityRoot /run/kiwilite/verity squashfs ro," in outcome.text
    assert "mount: /dev/mapper/luks /run/kiwilite/overlay xfs rw," in outcome.text
    assert "mount: /dev/mapper/data /data squashfs ro,nosuid,nodev," in outcome.text
    assert "redirect_dir=nofollow" in outcome.text
    assert outcome.status("verityRoot", "status") == "verified"
    assert hashlib.sha256(appliance.blob).hexdigest() in outcome.text


def test_second_boot_opens_the_volume_and_finds_what_was_written(
    second_boot: Outcome, record_property: Callable[[str, object], None]
) -> None:
    outcome = second_boot
    record_property("seconds until init", outcome.handed_over_after)
    assert "opening the overlay volume" in outcome.text
    assert "provisioning the overlay" not in outcome.text
    assert "note: kept" in outcome.text
    assert outcome.status("luks", "type") == "LUKS2"
    assert outcome.status("luks", "cipher") == "aegis128-random"
    assert outcome.status("luks", "integrity") == "aead"
    assert outcome.status("luks", "sector size") == "4096"
    assert outcome.status("luks", "mode") == "read/write"
    assert outcome.status("verityRoot", "mode") == "readonly"
    assert "luks_dif" in outcome.text.partition("mapper: ")[2]


def test_one_intact_header_of_two_is_enough(second_boot: Outcome) -> None:
    assert "note: kept" in second_boot.text


def test_one_flipped_byte_in_a_verified_file_is_an_io_error(
    second_boot: Outcome, factory: Appliance
) -> None:
    assert "error: /blob" in second_boot.text
    assert "sha256: " + hashlib.sha256(factory.blob).hexdigest() not in second_boot.text


def test_a_partition_of_another_disk_is_not_taken(second_boot: Outcome) -> None:
    assert "opening the overlay volume on /dev/vda3" in second_boot.text, second_boot.text


def test_factory_reset_is_refused_where_the_policy_does_not_list_it(second_boot: Outcome) -> None:
    assert "ignoring kiwilite.factory-reset" in second_boot.text
    assert "factory reset of" not in second_boot.text


def test_kiwis_words_name_the_policys_own_devices_or_are_ignored(second_boot: Outcome) -> None:
    for word in OTHER_DEVICES:
        assert f"ignoring {word}: this image's policy names another device" in second_boot.text
    for word in OWN_DEVICES:
        assert f"ignoring {word}" not in second_boot.text


def test_what_shadows_verified_files_is_listed(second_boot: Outcome) -> None:
    for line in ("changed  /var/welcome", "removed  /home/welcome", "opaque   /plain"):
        assert f"\n{line}\n" in second_boot.text, second_boot.text
    assert "/etc/note" not in second_boot.text.partition("changed ")[2]


def test_a_provisioned_volume_is_whole_for_blkid_and_xfs_repair(read_only: Outcome) -> None:
    assert "blkid: 0" in read_only.text
    assert "xfs_repair: 0" in read_only.text


def test_a_read_only_overlay_cannot_be_written(read_only: Outcome) -> None:
    assert "mount: OverlayOS_rootfs / overlay ro," in read_only.text
    assert "Read-only file system" in read_only.text


@pytest.mark.parametrize("device", [0, 1], ids=["root", "other"])
def test_a_wrong_root_hash_reaches_neither_init_nor_a_shell(fresh: Appliance, device: int) -> None:
    devices = list(fresh.policy.verity)
    devices[device] = replace(devices[device], root_hash="ab" * 32)
    outcome = fresh.with_policy(verity=tuple(devices)).boot()
    assert refused(outcome, f"{devices[device].mapping}: ")


def test_a_root_hash_on_the_command_line_must_be_the_policys(fresh: Appliance) -> None:
    outcome = fresh.with_policy(on_failure="halt").boot(roothash="ab" * 32)
    assert refused(outcome, "roothash= on the command line is not the policy's root hash")
    assert "kiwilite: halting" in outcome.text
    assert "rebooting" not in outcome.text


@pytest.mark.soak
def test_a_missing_partition_is_named_after_a_bounded_wait(fresh: Appliance) -> None:
    devices = (replace(fresh.policy.verity[0], partuuid=OTHER_ID), *fresh.policy.verity[1:])
    outcome = fresh.with_policy(verity=devices).boot()
    assert refused(outcome, f"partition {OTHER_ID} did not appear")


def test_a_volume_without_an_intact_header_is_damaged_and_left_alone(used: Appliance) -> None:
    for header in (0, 16384):
        used.flip_bit(OVERLAY[0] + header + 4100)
    before = used.read(*OVERLAY)
    assert refused(used.boot(), "the overlay volume on /dev/vda3 is damaged")
    assert used.read(*OVERLAY) == before


def test_a_damaged_file_system_is_fatal(used: Appliance) -> None:
    used.damage_file_system()
    assert refused(used.boot(), "the overlay volume's file system is damaged")


def test_a_volume_with_another_key_is_not_opened(used: Appliance) -> None:
    outcome = replace(used, key=b"another").boot()
    assert refused(outcome, "the overlay volume cannot be unlocked")


@pytest.mark.soak
def test_a_header_that_asks_for_weaker_encryption_is_refused(used: Appliance) -> None:
    used.replace_header("--cipher", "aes-xts-plain64")
    outcome = used.boot()
    assert refused(outcome, "the header of /dev/vda3 asks for other encryption than the policy")


def test_a_header_that_anyone_can_unlock_is_refused(used: Appliance) -> None:
    used.patch_header(b'"aes-xts-plain64"', b'"cipher_null-ecb"')
    outcome = used.boot()
    assert refused(outcome, "the header of /dev/vda3 asks for other encryption than the policy")


def test_the_volume_of_another_image_is_foreign_and_left_alone(used: Appliance) -> None:
    used.change_header("config", "--label", str(OTHER_ID), "--subsystem", "kiwilite-ready")
    before = used.read(*OVERLAY)
    assert refused(used.boot(), "/dev/vda3 holds the volume of another image")
    assert used.read(*OVERLAY) == before


@pytest.mark.soak
def test_the_mark_of_another_image_is_foreign(fresh: Appliance) -> None:
    fresh.write(OVERLAY[0], provisioning_mark(OTHER_ID))
    assert refused(fresh.boot(), "/dev/vda3 holds the volume of another image")


@pytest.mark.soak
def test_without_a_header_the_mark_at_the_end_says_unfinished(used: Appliance) -> None:
    used.write(OVERLAY[0], b"\xff" * 64 * 1024)
    used.write(LAST_BLOCK, mark_line(VOLUME_ID))
    outcome = used.boot()
    assert "(unfinished)" in outcome.text
    assert outcome.reached_init, outcome.text


def test_a_blank_partition_is_provisioned_and_again_where_that_was_interrupted(
    fresh: Appliance,
) -> None:
    fresh.write(OVERLAY[0], bytes(len(provisioning_mark(VOLUME_ID))))
    with fresh.start() as machine:
        machine.console.expect(r"provisioning the overlay volume on /dev/vda3 \(blank\)", 240)
        machine.console.expect("writing zeros to the overlay volume", 240)
        time.sleep(0.5)
    outcome = fresh.boot()
    assert "provisioning the overlay volume on /dev/vda3 (unfinished)" in outcome.text
    assert "note: none" in outcome.text
    assert outcome.reached_init, outcome.text


@pytest.mark.soak
@pytest.mark.parametrize("delay", [1.6 * t + 0.1 for t in range(12)])
def test_a_machine_that_stops_while_provisioning_is_provisioned_by_the_next_boot(
    fresh: Appliance, delay: float
) -> None:
    fresh.boot_until("provisioning the overlay volume", delay)
    outcome = fresh.boot()
    assert outcome.reached_init, outcome.text


@pytest.mark.soak
def test_a_factory_reset_that_stops_after_the_keys_are_gone_is_completed(used: Appliance) -> None:
    used.change_header("config", "--label", str(VOLUME_ID), "--subsystem", "kiwilite-provisioning")
    used.change_header("erase", "--batch-mode")
    outcome = used.boot()
    assert "(unfinished)" in outcome.text
    assert "note: none" in outcome.text


@pytest.mark.soak
@pytest.mark.parametrize("delay", [1.6 * t for t in range(12)])
def test_a_factory_reset_may_stop_at_any_moment(used: Appliance, delay: float) -> None:
    resettable = used.with_policy(switches=("kiwilite.factory-reset",))
    resettable.boot_until("factory reset of", delay, "kiwilite.factory-reset")
    outcome = used.boot()
    assert outcome.reached_init, outcome.text
    assert ("note: none" in outcome.text) or delay < 1, outcome.text


def test_a_temporary_overlay_leaves_the_volume_alone(used: Appliance) -> None:
    switch = "rd.root.overlay.temporary"
    before = used.read(*OVERLAY)
    outcome = used.with_policy(switches=(switch,)).boot(switch, "note=lost")
    assert "mount: tmpfs /run/kiwilite/overlay tmpfs rw" in outcome.text
    assert "note: none" in outcome.text
    assert used.read(*OVERLAY) == before
