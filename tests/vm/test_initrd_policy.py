"""What the policy allows, and what it refuses, on a real kernel."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from initrd_guest import (
    DATA,
    DATA_PARTUUID,
    OVERLAY_PARTUUID,
    ROOT,
    ROOT_PARTUUID,
    Appliance,
    refused,
)

from kiwilite.vm.machine import Disk

pytestmark = pytest.mark.vm

SHOW_TREES = """
touch /etc/mine; touch /mnt/mine
echo "var: $(cat /var/welcome)"; touch /var/mine && echo "var: writable"
busybox stat -c 'tmp: %a' /tmp; busybox stat -c 'etc: %a' /etc
sync
"""


def test_named_trees_are_overlaid_and_the_rest_comes_straight_from_verity(
    used: Appliance,
) -> None:
    outcome = used.with_policy(trees=("/etc",)).boot(do=SHOW_TREES)
    assert "mount: /dev/mapper/verityRoot / squashfs ro," in outcome.text
    assert re.search(r"mount: OverlayOS:/etc /etc overlay rw,.*upper/etc,", outcome.text)
    assert "mount: OverlayOS:/var /var overlay rw," in outcome.text
    assert "touch: /mnt/mine: Read-only file system" in outcome.text
    assert "var: made with the image, var" in outcome.text
    assert "var: writable" in outcome.text
    assert "tmp: 1777" in outcome.text
    assert "note: kept" in outcome.text, "the layer of the whole root has the same places"
    outcome = used.with_policy(trees=("/etc",)).boot(do="ls /etc /var")
    assert "mine" in outcome.text.partition("INIT: reached")[2]
    assert "/var/mine" not in outcome.text


def test_what_shadows_verified_files_is_listed(used: Appliance) -> None:
    outcome = used.boot(
        do="echo x >/var/welcome; rm /home/welcome; rm -r /plain; mkdir /plain\n"
        "sh /usr/sbin/kiwilite-overlay list"
    )
    for line in ("changed  /var/welcome", "removed  /home/welcome", "opaque   /plain"):
        assert f"\n{line}\n" in outcome.text, outcome.text
    assert "/etc/note" not in outcome.text.partition("changed ")[2]


def test_kiwis_words_name_the_policys_own_devices_or_are_ignored(used: Appliance) -> None:
    own = (
        "root=overlay:MAPPER=verityRoot",
        f"verityroot=/dev/disk/by-partuuid/{str(ROOT_PARTUUID).upper()}",
        f"rd.root.overlay.write=PARTUUID={OVERLAY_PARTUUID}",
    )
    others = (
        f"root=overlay:PARTUUID={DATA_PARTUUID}",
        "verityroot=UNIXNODE=vda2",
        "rd.root.overlay.write=/dev/vda2",
    )
    outcome = used.boot(*own, *others)
    assert "note: kept" in outcome.text
    for word in others:
        assert f"ignoring {word}: this image's policy names another device" in outcome.text
    for word in own:
        assert f"ignoring {word}" not in outcome.text


def test_a_metadata_block_with_another_root_hash_is_fatal(used: Appliance) -> None:
    end = DATA[1] - 4096
    data = replace(used.policy.verity[1], metadata_offset=end)
    appliance = used.with_policy(verity=(used.policy.verity[0], data))
    fields = f"1 4096 4096 100 101 sha256 {data.root_hash} ab".encode()
    block = b"1 squashfs ro verity\xff" + fields + b"\xff\0" + bytes(range(256))
    appliance.write(DATA[0] + end, block.ljust(4096, b"\0"))
    assert appliance.boot().reached_init
    appliance.write(
        DATA[0] + end, block.replace(b"sha256 " + data.root_hash[:1].encode(), b"sha256 x")
    )
    assert refused(appliance.boot(), "data: its metadata block names another root hash")


@pytest.mark.parametrize(("reaction", "shown"), [("restart", None), ("panic", "Kernel panic")])
def test_corruption_restarts_or_stops_the_machine_where_the_policy_says_so(
    used: Appliance, reaction: str, shown: str | None
) -> None:
    root = used.read(*ROOT)
    used.flip_bit(ROOT[0] + root.index(used.blob[4096:4160]))
    appliance = used.with_policy(on_corruption=reaction)
    with appliance.start() as machine:
        machine.console.expect("INIT: reached", 240)
        # the file behind /sbin/init is intact, /blob is not
        machine.console.expect(shown or "kiwilite: reading the policy", 120)
        assert "error: /blob" not in machine.console.text


def test_of_two_disks_with_the_same_partitions_none_is_taken(
    used: Appliance, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.raw"
    shutil.copyfile(used.disk, copy)
    outcome = replace(used, extra_disks=(Disk(copy, format="raw"),)).boot()
    assert refused(outcome, f"several partitions are called {ROOT_PARTUUID}")
    assert "remove the disk that is a copy of another" in outcome.text


def test_a_partition_of_another_disk_is_not_taken(used: Appliance, tmp_path: Path) -> None:
    other = tmp_path / "other.raw"
    shutil.copyfile(used.disk, other)
    # the other disk has an overlay's partition of the same PARTUUID, and no root of ours
    subprocess.run(["sfdisk", "--quiet", "--part-uuid", other, "1", str(UUID(int=77))], check=True)
    outcome = replace(used, extra_disks=(Disk(other, format="raw"),)).boot()
    assert "opening the overlay volume on /dev/vda3" in outcome.text, outcome.text
    assert "note: kept" in outcome.text


def test_a_shell_gets_neither_key_nor_an_unharmed_pcr(fresh: Appliance, tmp_path: Path) -> None:
    if shutil.which("swtpm") is None:
        pytest.skip("needs swtpm")
    devices = (replace(fresh.policy.verity[0], root_hash="ab" * 32), *fresh.policy.verity[1:])
    tpm = tmp_path / "tpm"
    tpm.mkdir()
    appliance = replace(fresh.with_policy(verity=devices, on_failure="shell"), tpm=tpm)
    with appliance.start() as machine:
        console = machine.console
        console.expect("a shell, because the policy allows it", 240)
        time.sleep(1)
        console.send("cat /sys/class/tpm/tpm0/pcr-sha256/12; ls /dev/mapper\n")
        console.send("cat /etc/cryptsetup-keys.d/luks.key && echo 'it is '''there\n")
        console.send("echo 'that is '''all\n")
        console.expect("that is all", 60)
        text = console.text
    expected = hashlib.sha256(bytes(32) + b"kiwilite: a shell after failure.").hexdigest()
    assert expected.upper() in text.upper()
    assert "it is there" not in text
    assert not re.search(r"^(luks|verityRoot)\b", text, re.M)
