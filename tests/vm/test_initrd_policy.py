"""What the policy allows, and what it refuses, on a real kernel."""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from initrd_guest import (
    DATA,
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


def with_metadata(appliance: Appliance, root_hash: str | None = None) -> Appliance:
    """The appliance with a metadata block of KIWI's for its second verified partition."""
    end = DATA[1] - 4096
    data = replace(appliance.policy.verity[1], metadata_offset=end)
    fields = f"1 4096 4096 100 101 sha256 {root_hash or data.root_hash} ab".encode()
    block = b"1 squashfs ro verity\xff" + fields + b"\xff\0" + bytes(range(256))
    appliance.write(DATA[0] + end, block.ljust(4096, b"\0"))
    return appliance.with_policy(verity=(appliance.policy.verity[0], data))


def test_named_trees_are_overlaid_and_the_rest_comes_straight_from_verity(
    used: Appliance,
) -> None:
    # a metadata block that says the same as the policy makes no difference
    appliance = with_metadata(used).with_policy(trees=("/etc",))
    outcome = appliance.boot(do=SHOW_TREES)
    assert "mount: /dev/mapper/verityRoot / squashfs ro," in outcome.text
    assert re.search(r"mount: OverlayOS:/etc /etc overlay rw,.*upper/etc,", outcome.text)
    assert "mount: OverlayOS:/var /var overlay rw," in outcome.text
    assert "touch: /mnt/mine: Read-only file system" in outcome.text
    assert "var: made with the image, var" in outcome.text
    assert "var: writable" in outcome.text
    assert "tmp: 1777" in outcome.text
    assert "note: kept" in outcome.text, "the layer of the whole root has the same places"
    outcome = appliance.boot(do="ls /etc /var")
    assert "mine" in outcome.text.partition("INIT: reached")[2]
    assert "/var/mine" not in outcome.text


def test_a_metadata_block_with_another_root_hash_is_fatal(used: Appliance) -> None:
    appliance = with_metadata(used, root_hash="00" * 32)
    assert refused(appliance.boot(), "data: its metadata block names another root hash")


@pytest.mark.parametrize(
    ("reaction", "shown"),
    [pytest.param("restart", None, marks=pytest.mark.soak), ("panic", "Kernel panic")],
)
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
