"""The scope of a factory reset, whole and interrupted, on a real kernel."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from initrd_guest import (
    HOME,
    HOME_ID,
    HOME_PARTUUID,
    OVERLAY,
    PLAIN_PARTUUID,
    VOLUME_ID,
    Appliance,
    refused,
)

from kiwilite.boot.mark import provisioning_mark
from kiwilite.boot.policy import PlainPartition, Volume

pytestmark = pytest.mark.vm

RESET = "kiwilite.factory-reset"
HOME_VOLUME = Volume("home", HOME_PARTUUID, HOME_ID, "ext4", "/home", reset=True)
PLAIN = PlainPartition(PLAIN_PARTUUID, "ext4", "/plain", "PLAIN")
LEAVE_NOTES = """
cat /home/welcome
mkfs.ext4 -q -F /dev/vda5 && mount -t ext4 /dev/vda5 /plain
echo kept >/home/note; echo kept >/plain/note; umount /plain; sync
sh /usr/sbin/kiwilite-factory-reset --yes --no-reboot
"""
SHOW_NOTES = """
mount -t ext4 /dev/vda5 /plain
for place in home plain; do
    echo "$place: $(cat /$place/note 2>/dev/null || echo none), $(cat /$place/welcome)"
done
blkid /dev/vda5
cryptsetup luksDump /dev/vda3 | grep Subsystem
"""
ALL_NEW = ("note: none", "home: none, made with the image, home", "plain: none, made with the")


KEYSLOT = (OVERLAY[0] + 32768, 65536)


@pytest.fixture(scope="module")
def asked(factory: Appliance, tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """An appliance with notes in the overlay, in an encrypted and in a plain partition.

    It is asked to reset itself, by the command in the image: this machine has a legacy BIOS.
    """
    appliance = factory.copy(tmp_path_factory.mktemp("scoped")).with_policy(
        volumes=(*factory.policy.volumes, HOME_VOLUME), resettable=(PLAIN,), switches=(RESET,)
    )
    appliance.write(HOME[0], provisioning_mark(HOME_ID))
    outcome = appliance.boot("note=kept", do=LEAVE_NOTES)
    assert "factory reset is set for the next boot" in outcome.text, outcome.text
    return appliance


@pytest.fixture
def in_use(asked: Appliance, tmp_path: Path) -> Appliance:
    """The same appliance, not asked to reset itself."""
    appliance = asked.copy(tmp_path)
    appliance.change_header("config", "--label", str(VOLUME_ID), "--subsystem", "kiwilite-ready")
    return appliance


def test_a_reset_makes_the_whole_scope_anew_and_fills_it_from_the_image(
    asked: Appliance, tmp_path: Path
) -> None:
    appliance = asked.copy(tmp_path)
    before = appliance.read(*KEYSLOT)
    outcome = appliance.boot(do=SHOW_NOTES)
    for claim in (*ALL_NEW, 'LABEL="PLAIN"', "factory reset done"):
        assert claim in outcome.text, outcome.text
    assert re.search(r"Subsystem:\s+kiwilite-ready", outcome.text), "the next boot resets again"
    after = appliance.read(*KEYSLOT)
    assert before.strip(b"\0")
    assert not any(before[at : at + 4096] == after[at : at + 4096] for at in range(0, 65536, 4096))


def test_a_reset_takes_over_a_damaged_volume_and_what_is_not_in_its_scope_stays(
    in_use: Appliance,
) -> None:
    overlay, home = in_use.policy.volumes
    narrow = in_use.with_policy(volumes=(overlay, replace(home, reset=False)), resettable=())
    narrow.write(OVERLAY[0], b"\xff" * 64 * 1024)
    outcome = narrow.boot(RESET, do=SHOW_NOTES)
    assert "factory reset of /dev/vda3 (damaged)" in outcome.text
    assert "note: none" in outcome.text
    assert "home: kept, made with the image, home" in outcome.text
    assert "plain: kept" in outcome.text


@pytest.mark.parametrize(
    ("moment", "delay"),
    [
        ("factory reset of /dev/vda5", 0.0),
        *(
            pytest.param(moment, delay, marks=pytest.mark.soak)
            for moment in ("factory reset of /dev/vda4", "factory reset of /dev/vda5")
            for delay in (0.2, 0.9, 2.0)
        ),
    ],
)
def test_a_reset_that_stops_is_completed_for_its_whole_scope(
    in_use: Appliance, moment: str, delay: float
) -> None:
    stopped = in_use.boot_until(moment, delay, RESET)
    outcome = in_use.boot(do=SHOW_NOTES)
    # a fast machine may have done all of the reset by then, and has a volume to make
    completed = r"factory reset of /dev/vda3 \(|provisioning the overlay volume .*\(unfinished\)"
    assert "factory reset done" in stopped or re.search(completed, outcome.text)
    for claim in ALL_NEW:
        assert claim in outcome.text, outcome.text


@pytest.mark.soak
def test_a_header_that_is_zero_is_no_reset(used: Appliance) -> None:
    used.write(OVERLAY[0], bytes(17 * 1024 * 1024))
    before = used.read(*OVERLAY)
    assert refused(used.boot(), "the overlay volume on /dev/vda3 is damaged")
    assert used.read(*OVERLAY) == before


@pytest.mark.soak
def test_a_reset_that_stopped_before_any_header_stood_is_completed(in_use: Appliance) -> None:
    line = f"KIWILITE RESET {VOLUME_ID}".encode().ljust(511) + b"\n"
    in_use.write(OVERLAY[0], b"\xff" * 64 * 1024)
    in_use.write(OVERLAY[0] + OVERLAY[1] - 4096, line)
    outcome = in_use.boot(do=SHOW_NOTES)
    for claim in ALL_NEW:
        assert claim in outcome.text, outcome.text
