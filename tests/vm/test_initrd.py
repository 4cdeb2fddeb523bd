"""The initrd on a real kernel: what reaches init, and what must not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from initrd_guest import MIB, OVERLAY, ROOT, VOLUME_ID, Appliance, Outcome, refused

from kiwilite.boot.mark import mark_line, provisioning_mark

pytestmark = pytest.mark.vm

OTHER_ID = UUID("00000000-0000-4000-8000-00000000dead")
LAST_BLOCK = OVERLAY[0] + OVERLAY[1] - 4096


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
    assert hashlib.sha256(appliance.blob).hexdigest() in outcome.text


def test_second_boot_opens_the_volume_and_finds_what_was_written(
    used: Appliance, record_property: Callable[[str, object], None]
) -> None:
    outcome = used.boot()
    record_property("seconds until init", outcome.handed_over_after)
    assert "opening the overlay volume" in outcome.text
    assert "provisioning the overlay" not in outcome.text
    assert "note: kept" in outcome.text
    assert outcome.status("luks", "type") == "LUKS2"
    assert outcome.status("luks", "cipher") == "aegis128-random"
    assert outcome.status("luks", "integrity") == "aead"
    assert outcome.status("luks", "sector size") == "4096"
    assert outcome.status("luks", "mode") == "read/write"
    assert outcome.status("verityRoot", "status") == "verified"
    assert outcome.status("verityRoot", "mode") == "readonly"
    assert "luks_dif" in outcome.text.partition("mapper: ")[2]


def test_a_provisioned_volume_is_whole_for_blkid_and_xfs_repair(used: Appliance) -> None:
    switch = "rd.root.overlay.temporary"
    outcome = used.with_policy(switches=(switch,)).boot(switch, "inspect")
    assert "blkid: 0" in outcome.text
    assert "xfs_repair: 0" in outcome.text


def test_a_blank_partition_is_provisioned(fresh: Appliance) -> None:
    fresh.write(OVERLAY[0], bytes(len(provisioning_mark(VOLUME_ID))))
    outcome = fresh.boot()
    assert "(blank)" in outcome.text
    assert outcome.reached_init, outcome.text


def test_one_flipped_byte_in_a_verified_file_is_an_io_error(used: Appliance) -> None:
    root = used.read(*ROOT)
    used.flip_bit(ROOT[0] + root.index(used.blob[4096:4160]))
    outcome = used.boot()
    assert "error: /blob" in outcome.text
    assert "sha256: " + hashlib.sha256(used.blob).hexdigest() not in outcome.text


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


def test_one_intact_header_of_two_is_enough(used: Appliance) -> None:
    used.flip_bit(OVERLAY[0] + 4100)
    assert "note: kept" in used.boot().text


def test_a_damaged_file_system_is_fatal(used: Appliance) -> None:
    used.damage_file_system()
    assert refused(used.boot(), "the overlay's file system is damaged")


def test_a_volume_with_another_key_is_not_opened(used: Appliance) -> None:
    outcome = replace(used, key=b"another").boot()
    assert refused(outcome, "the overlay volume cannot be unlocked")


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


def test_the_mark_of_another_image_is_foreign(fresh: Appliance) -> None:
    fresh.write(OVERLAY[0], provisioning_mark(OTHER_ID))
    assert refused(fresh.boot(), "/dev/vda3 holds the volume of another image")


def test_provisioning_that_was_interrupted_starts_over(used: Appliance) -> None:
    used.change_header("config", "--label", str(VOLUME_ID), "--subsystem", "kiwilite-provisioning")
    outcome = used.boot()
    assert "(unfinished)" in outcome.text
    assert "note: none" in outcome.text


def test_without_a_header_the_mark_at_the_end_says_unfinished(used: Appliance) -> None:
    used.write(OVERLAY[0], b"\xff" * 64 * 1024)
    used.write(LAST_BLOCK, mark_line(VOLUME_ID))
    outcome = used.boot()
    assert "(unfinished)" in outcome.text
    assert outcome.reached_init, outcome.text


@pytest.mark.parametrize(
    "delay", [1.0, *(pytest.param(1.6 * t + 0.1, marks=pytest.mark.soak) for t in range(12))]
)
def test_a_machine_that_stops_while_provisioning_is_provisioned_by_the_next_boot(
    fresh: Appliance, delay: float
) -> None:
    fresh.boot_until("provisioning the overlay volume", delay)
    outcome = fresh.boot()
    assert outcome.reached_init, outcome.text


def test_factory_reset_is_refused_where_the_policy_does_not_list_it(used: Appliance) -> None:
    outcome = used.boot("kiwilite.factory-reset")
    assert "ignoring kiwilite.factory-reset" in outcome.text
    assert "note: kept" in outcome.text


def test_factory_reset_erases_the_keys_and_provisions_again(used: Appliance) -> None:
    before = used.read(OVERLAY[0], 16 * MIB)
    outcome = used.with_policy(switches=("kiwilite.factory-reset",)).boot("kiwilite.factory-reset")
    assert "factory reset done" in outcome.text
    assert "note: none" in outcome.text
    after = used.read(OVERLAY[0], 16 * MIB)
    keyslot = slice(32768, 32768 + 65536)
    assert before[keyslot].strip(b"\0")
    assert not any(
        a == b for a, b in zip(_blocks(before[keyslot]), _blocks(after[keyslot]), strict=True)
    )


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


def test_factory_reset_takes_over_a_damaged_volume(used: Appliance) -> None:
    used.write(OVERLAY[0], b"\xff" * 64 * 1024)
    outcome = used.with_policy(switches=("kiwilite.factory-reset",)).boot("kiwilite.factory-reset")
    assert outcome.reached_init, outcome.text


def test_a_temporary_overlay_leaves_the_volume_alone(used: Appliance) -> None:
    switch = "rd.root.overlay.temporary"
    before = used.read(*OVERLAY)
    outcome = used.with_policy(switches=(switch,)).boot(switch, "note=lost")
    assert "mount: tmpfs /run/kiwilite/overlay tmpfs rw" in outcome.text
    assert "note: none" in outcome.text
    assert used.read(*OVERLAY) == before


def test_a_read_only_overlay_cannot_be_written(used: Appliance) -> None:
    switch = "rd.root.overlay.readonly"
    outcome = used.with_policy(switches=(switch,)).boot(switch, "note=impossible")
    assert "mount: OverlayOS_rootfs / overlay ro," in outcome.text
    assert "Read-only file system" in outcome.text


def _blocks(raw: bytes) -> list[bytes]:
    return [raw[at : at + 4096] for at in range(0, len(raw), 4096)]
