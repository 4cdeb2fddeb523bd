"""The reference image, built and booted: a verified root, an overlay that keeps, a reset.

One machine boots four times through its UEFI firmware over the same disk: the first
boot, a second one, the factory reset, and one more. Each is a fixture that builds on
the one before, and the tests read what it recorded.
"""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import reference_ssh
import tamper
from reference_image import PASSWORD, Boot, ReferenceImage, boot_again, log_in
from reference_ssh import Acceptance

from kiwilite.vm import ssh
from kiwilite.vm.machine import Machine, MachineSpec, free_port, make_overlay, start

pytestmark = [pytest.mark.vm, pytest.mark.build]

BLOCK = 4096
VERIFIED_FILE = "/usr/bin/perl"  # large, of an essential package, and not needed to boot
KEPT_FILE = "/var/lib/kept-blocks"
KEPT = b"".join(b"%d\n" % number for number in range(1, 20001))[: 16 * BLOCK]
WRITTEN = "/run/kiwilite/overlay/upper"

STATE = {
    "running": "systemctl is-system-running --wait",
    "failed": "systemctl --failed --no-legend --plain",
    "mounts": "cat /proc/mounts",
    "verity": "veritysetup status verityRoot",
    "preloaded": "veritysetup status verity-oci-preloaded",
    "luks": "cryptsetup status luks",
    "devices": "dmsetup ls --target integrity; echo; dmsetup ls",
    "units": "ls -R /run/systemd/generator*; systemctl list-units --all --plain --type=service",
    "sysctl": "sysctl -n vm.overcommit_memory kernel.randomize_va_space kernel.kptr_restrict "
    "kernel.yama.ptrace_scope",
    "owners": "stat -c '%n %U:%G' /home /home/admin /home/admin/.profile",
    "machine-id": "cat /etc/machine-id",
    "host keys": "cat /etc/ssh/ssh_host_*_key.pub",
    "one shot": "ls /sys/firmware/efi/efivars | grep LoaderEntryOneShot || echo none",
    "kept": "cat /etc/kept 2>/dev/null || echo gone",
    "cmdline": "cat /proc/cmdline",
}
FIRST = {
    **STATE,
    "write verified": f"touch {KEPT_FILE} /run/kiwilite/verity/new",
    "write preloaded": "touch /var/lib/containers/loaded/new",
    "write storage": "touch /var/lib/containers/storage/new",
    "write kept": "echo survives >/etc/kept",
    "write blocks": f"seq 1 20000 | head -c {len(KEPT)} >{KEPT_FILE} && sync",
    "extents": f"xfs_bmap -v {WRITTEN}{KEPT_FILE}",
}
WRITE_MANY_FILES = (
    "mkdir /var/lib/many && cd /var/lib/many && for d in $(seq 30); do mkdir $d && "
    "for f in $(seq 20); do echo text >$d/$f; done; done && sync"
)


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory whose disk images do not outlive the tests; transcripts of consoles do."""
    directory = tmp_path_factory.mktemp("machine")
    yield directory
    for file in directory.iterdir():
        if file.suffix != ".log":
            file.unlink()


@pytest.fixture(scope="module")
def machine(image: ReferenceImage, workshop: Path) -> Iterator[Machine]:
    overlay = make_overlay(image.raw, workshop / "disk.qcow2", "raw")
    spec = MachineSpec(image=overlay, variables=workshop / "variables.fd", ssh_port=free_port())
    with start(spec, transcript=workshop / "console.log") as machine:
        yield machine


@pytest.fixture(scope="module")
def first_boot(machine: Machine) -> Boot:
    boot = log_in(machine.console, FIRST, since=0, begin=time.monotonic())
    assert machine.spec.ssh_port
    account = ssh.Account("admin", PASSWORD, machine.spec.ssh_port)
    ssh.wait_until_reachable(account, 180)
    return replace(boot, answers={**boot.answers, **reference_ssh.ask(account)})


@pytest.fixture(scope="module")
def second_boot(machine: Machine, first_boot: Boot) -> Boot:
    return boot_again(machine.console, "systemctl reboot", STATE)


@pytest.fixture(scope="module")
def used_disk(machine: Machine, second_boot: Boot, workshop: Path) -> Path:
    """The disk in the second boot, as a power cut right after a `sync` would leave it.

    What the first boot had written has left the journal of dm-integrity by then: the
    journal would undo changes in the place it is for.
    """
    assert machine.console.run(WRITE_MANY_FILES, 180).status == 0
    return snapshot(machine, workshop / "used.raw")


@pytest.fixture(scope="module")
def reset_boot(machine: Machine, used_disk: Path) -> Boot:
    return boot_again(machine.console, "kiwilite-factory-reset --yes", STATE)


@pytest.fixture(scope="module")
def boot_after_reset(machine: Machine, reset_boot: Boot) -> Boot:
    return boot_again(machine.console, "systemctl reboot", STATE)


@pytest.fixture(scope="module")
def reset_disk(machine: Machine, boot_after_reset: Boot, workshop: Path) -> Path:
    """The disk after the boot that follows the reset."""
    return snapshot(machine, workshop / "reset.raw")


@pytest.fixture(scope="module")
def tampered(
    image: ReferenceImage, machine: Machine, first_boot: Boot, used_disk: Path, workshop: Path
) -> Boot:
    """A boot after a power cut, from a disk with one changed byte and three changed bits."""
    if machine.process.poll() is None:
        machine.quit()  # one machine at a time; the tests that need it come before
    root = workshop / "root.squashfs"
    root.write_bytes(image.partition("p.lxreadonly"))
    place = tamper.byte_of_first_block(root, VERIFIED_FILE)
    tamper.flip(used_disk, image.partitions["p.lxreadonly"].offset + place, 0xFF)
    volume = tamper.AuthenticatedVolume.read(used_disk, image.partitions["p.lxroot"].offset)
    first = first_sector(first_boot)
    tamper.flip(used_disk, volume.data(first + 2 * 8) + 1000)
    tamper.flip(used_disk, volume.tag(first + 7 * 8) + 3)
    tamper.flip(used_disk, volume.tag(first + 12 * 8) + 16 + 3)
    questions = {
        "recovery": "dmesg | grep 'Starting recovery'",
        "many": "find /var/lib/many -type f -size 1 | wc -l",
        "verified": tamper.read_in_blocks(VERIFIED_FILE, tamper.SQUASHFS_BLOCK),
        # Read ahead, several blocks share one folio of the page cache, and its fate.
        "kept": "blockdev --setra 0 /dev/mapper/luks; " + tamper.read_in_blocks(KEPT_FILE, BLOCK),
    }
    line = image.uki.profiles[0].cmdline
    spec = image.direct_boot(used_disk, image.uki.initrd, line, workshop)
    with start(spec, transcript=workshop / "tampered.log") as other:
        return log_in(other.console, questions, since=0, begin=time.monotonic())


def snapshot(machine: Machine, copy: Path) -> Path:
    """A raw image of the disk of the running machine as it is now, all writes flushed."""
    assert machine.spec.image
    machine.qmp.execute("stop")
    convert = ["qemu-img", "convert", "-U", "-f", "qcow2", "-O", "raw"]
    subprocess.run([*convert, str(machine.spec.image), str(copy)], check=True)
    machine.qmp.execute("cont")
    return copy


def first_sector(boot: Boot) -> int:
    """Where in the volume the file of known content is, in sectors of 512; it has one extent."""
    (extent,) = re.findall(r"\[0\.\.127\]: *(\d+)\.\.", boot.said("extents"))
    return int(extent)


## The first boot


def test_the_first_boot_reaches_login_and_a_system_without_failures(
    first_boot: Boot, record_property: Callable[[str, object], None]
) -> None:
    record_property("seconds to login", round(first_boot.seconds, 1))
    assert first_boot.said("running") == "running\n"
    assert first_boot.said("failed") == ""


def test_the_first_boot_provisions_the_overlay(first_boot: Boot) -> None:
    assert "provisioning the overlay volume on /dev/vda7 (marked)" in first_boot.text


def test_the_root_is_an_overlay_over_the_verified_squashfs(first_boot: Boot) -> None:
    source, kind, options = first_boot.mount("/")
    assert (source, kind) == ("OverlayOS_rootfs", "overlay")
    assert {"rw", "lowerdir=/run/kiwilite/verity", "redirect_dir=nofollow"} <= set(options)
    source, kind, options = first_boot.mount("/run/kiwilite/verity")
    assert (source, kind, options[0]) == ("/dev/mapper/verityRoot", "squashfs", "ro")
    assert first_boot.answers["write verified"].status != 0


def test_the_root_device_is_verified_and_read_only(image: ReferenceImage, first_boot: Boot) -> None:
    assert first_boot.field("verity", "status") == "verified"
    assert first_boot.field("verity", "mode") == "readonly"
    assert first_boot.field("verity", "root hash") == image.root_hash


def test_the_overlay_volume_is_encrypted_and_authenticated(first_boot: Boot) -> None:
    assert first_boot.field("luks", "type") == "LUKS2"
    assert first_boot.field("luks", "cipher") == "aegis128-random"
    assert first_boot.field("luks", "integrity") == "aead"
    assert first_boot.field("luks", "sector size") == "4096"
    assert first_boot.field("luks", "mode") == "read/write"
    source, kind, options = first_boot.mount("/run/kiwilite/overlay")
    assert (source, kind, options[0]) == ("/dev/mapper/luks", "xfs", "rw")


def test_the_integrity_device_is_there_and_no_mapping_too_many(first_boot: Boot) -> None:
    integrity, _, every = first_boot.said("devices").partition("\n\n")
    assert integrity.split()[0] == "luks_dif"
    names = {line.split()[0] for line in every.splitlines()}
    assert names == {"luks", "luks_dif", "verityRoot", "verity-oci-preloaded"}


def test_systemd_does_not_take_the_root_hash_for_an_order(first_boot: Boot) -> None:
    assert "roothash=" in first_boot.said("cmdline")
    assert "home.mount" in first_boot.said("units")
    assert "verity" not in first_boot.said("units")


def test_home_is_ext4_and_its_owners_are_kept(first_boot: Boot) -> None:
    _, kind, options = first_boot.mount("/home")
    assert (kind, options[0]) == ("ext4", "rw")
    assert first_boot.said("owners").splitlines() == [
        "/home root:root",
        "/home/admin admin:admin",
        "/home/admin/.profile admin:admin",
    ]


def test_container_storage_is_xfs_and_can_be_written(first_boot: Boot) -> None:
    _, kind, options = first_boot.mount("/var/lib/containers/storage")
    assert (kind, options[0]) == ("xfs", "rw")
    assert first_boot.said("write storage") == ""


def test_preloaded_containers_are_a_verified_squashfs(first_boot: Boot) -> None:
    source, kind, options = first_boot.mount("/var/lib/containers/loaded")
    assert (source, kind) == ("/dev/mapper/verity-oci-preloaded", "squashfs")
    assert options[0] == "ro"
    assert first_boot.field("preloaded", "status") == "verified"
    assert first_boot.field("preloaded", "mode") == "readonly"
    assert first_boot.answers["write preloaded"].status != 0


def test_the_kernel_settings_of_the_appliance_hold(first_boot: Boot) -> None:
    assert first_boot.said("sysctl").split() == ["2", "2", "1", "1"]


def test_each_device_makes_its_own_identity(
    image: ReferenceImage, first_boot: Boot, reset_boot: Boot, workshop: Path
) -> None:
    root = workshop / "untouched.squashfs"
    root.write_bytes(image.partition("p.lxreadonly"))
    listing = subprocess.run(["unsquashfs", "-l", root], capture_output=True, check=True).stdout
    assert b"/etc/ssh/sshd_config" in listing
    assert b"ssh_host_" not in listing
    assert tamper.squashfs_file(root, "/etc/machine-id") == b""
    for boot in (first_boot, reset_boot):
        assert re.fullmatch(r"[0-9a-f]{32}\n", boot.said("machine-id"))
        assert boot.said("host keys").count("ssh-ed25519 ") == 1
    assert first_boot.said("machine-id") != reset_boot.said("machine-id")
    assert first_boot.said("host keys") != reset_boot.said("host keys")


def test_admin_can_log_in_over_ssh_and_become_root(first_boot: Boot) -> None:
    assert first_boot.said("ssh: id") == "admin\n/home/admin\n"
    assert first_boot.said("ssh: become root") == "root\n"


@pytest.mark.parametrize("test", reference_ssh.ACCEPTANCE, ids=lambda test: test.command)
def test_an_acceptance_test_holds_over_ssh(first_boot: Boot, test: Acceptance) -> None:
    answer = first_boot.answers[f"ssh: {test.command}"]
    assert test.wrong(answer) == [], answer.output


## The second boot


def test_the_second_boot_opens_the_volume_that_the_first_has_made(
    second_boot: Boot, record_property: Callable[[str, object], None]
) -> None:
    record_property("seconds to login", round(second_boot.seconds, 1))
    assert "opening the overlay volume" in second_boot.text
    assert "provisioning the overlay" not in second_boot.text
    assert second_boot.said("running") == "running\n"
    assert second_boot.said("failed") == ""


def test_what_is_written_to_etc_survives_a_reboot(first_boot: Boot, second_boot: Boot) -> None:
    assert first_boot.said("kept") == "gone\n"
    assert second_boot.said("kept") == "survives\n"


def test_a_device_keeps_its_identity(first_boot: Boot, second_boot: Boot) -> None:
    assert second_boot.said("machine-id") == first_boot.said("machine-id")
    assert second_boot.said("host keys") == first_boot.said("host keys")


## Factory reset, ordered in the running system and done by way of the boot menu's entry


def test_the_command_boots_the_reset_entry_once(
    second_boot: Boot, reset_boot: Boot, boot_after_reset: Boot
) -> None:
    resets = [
        "kiwilite.factory-reset" in boot.said("cmdline").split()
        for boot in (second_boot, reset_boot, boot_after_reset)
    ]
    assert resets == [False, True, False]
    assert reset_boot.said("one shot") == "none\n"


def test_a_factory_reset_provisions_the_machine_again(reset_boot: Boot) -> None:
    assert "factory reset of /dev/vda7 (ready)" in reset_boot.text
    assert "factory reset done" in reset_boot.text
    assert "provisioning the overlay volume on /dev/vda7" in reset_boot.text
    assert reset_boot.said("running") == "running\n"


def test_a_factory_reset_takes_what_was_written(second_boot: Boot, reset_boot: Boot) -> None:
    assert second_boot.said("kept") == "survives\n"
    assert reset_boot.said("kept") == "gone\n"


def test_after_a_factory_reset_boots_are_normal_again(
    reset_boot: Boot, boot_after_reset: Boot
) -> None:
    assert "factory reset" not in boot_after_reset.text
    assert "provisioning the overlay" not in boot_after_reset.text
    assert boot_after_reset.said("machine-id") == reset_boot.said("machine-id")


def test_the_old_volume_key_opens_nothing_after_a_factory_reset(
    image: ReferenceImage, used_disk: Path, reset_disk: Path, workshop: Path
) -> None:
    old, new = workshop / "old.header", workshop / "new.header"
    key, passphrase = workshop / "volume.key", workshop / "passphrase"
    passphrase.write_bytes(b"insecure")
    for header, disk in ((old, used_disk), (new, reset_disk)):
        header.write_bytes(image.partition("p.lxroot", disk)[: 20 << 20])
    dump = ["cryptsetup", "luksDump", "--batch-mode", "--dump-volume-key", "--key-file"]
    subprocess.run([*dump, str(passphrase), "--volume-key-file", str(key), str(old)], check=True)
    assert opens(old, "--volume-key-file", key)
    assert opens(new, "--key-file", passphrase)
    assert not opens(new, "--volume-key-file", key)


def test_no_block_of_the_old_keyslot_is_left_after_a_factory_reset(
    image: ReferenceImage, used_disk: Path, reset_disk: Path
) -> None:
    keyslot = image.partition("p.lxroot", used_disk)[32768 : 32768 + 65536]
    after = image.partition("p.lxroot", reset_disk)
    blocks = {keyslot[at : at + BLOCK] for at in range(0, len(keyslot), BLOCK)} - {bytes(BLOCK)}
    assert len(blocks) >= 16  # 4000 stripes of a 16-byte key
    assert not any(block in after for block in blocks)


def opens(header: Path, option: str, secret: Path) -> bool:
    command = ["cryptsetup", "open", "--test-passphrase", option, str(secret), str(header)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


## Integrity


def test_what_was_synced_survives_a_power_cut(tampered: Boot) -> None:
    # XFS reads metadata blocks that it has logged, but never written to their place.
    assert "Starting recovery" in tampered.said("recovery")
    assert tampered.said("many") == "600\n"


def test_one_flipped_byte_in_the_verified_root_is_an_io_error_and_never_wrong_data(
    image: ReferenceImage, tampered: Boot, workshop: Path
) -> None:
    root = workshop / "untouched.squashfs"
    root.write_bytes(image.partition("p.lxreadonly"))
    content = tamper.squashfs_file(root, VERIFIED_FILE)
    first, *others = tampered.said("verified").splitlines()
    assert tamper.is_io_error(first)
    assert others == tamper.checksums(content, tamper.SQUASHFS_BLOCK)[1:]


@pytest.mark.parametrize(
    "block",
    [pytest.param(2, id="ciphertext"), pytest.param(7, id="tag"), pytest.param(12, id="iv")],
)
def test_one_flipped_bit_in_the_overlay_is_an_io_error(tampered: Boot, block: int) -> None:
    assert tamper.is_io_error(tampered.said("kept").splitlines()[block])


def test_all_other_blocks_in_the_overlay_are_unharmed(tampered: Boot) -> None:
    lines = tampered.said("kept").splitlines()
    expected = tamper.checksums(KEPT, BLOCK)
    assert len(lines) == len(expected) == 16
    harmed = [number for number in range(16) if lines[number] != expected[number]]
    assert harmed == [2, 7, 12]
