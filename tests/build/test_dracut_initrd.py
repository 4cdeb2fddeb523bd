"""An initrd made by the image's own dracut, seen from outside."""

from __future__ import annotations

import subprocess
import time

import pytest
import tiny_appliance
from opened_image import squashfs_listing
from tiny_appliance import Appliance, has

from kiwilite.boot import uki
from kiwilite.ondisk import cpio

pytestmark = pytest.mark.build

NAME = "tiny.x86_64-1.0.0"
OWN = "root/etc/dracut.conf.d/50-own.conf"


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """Built with a dracut.conf.d of its own."""
    if not has("mmdebstrap"):
        pytest.skip("needs mmdebstrap")
    appliance = tiny_appliance.make(tmp_path_factory.mktemp("dracut"))
    appliance.change('overlayroot="true"', 'overlayroot="true" initrd_system="dracut"')
    appliance.change(
        '<package name="xfsprogs"/>', '<package name="xfsprogs"/><package name="dracut"/>'
    )
    own = appliance.folder / OWN
    own.parent.mkdir(parents=True)
    # as in descriptions made for KIWI: its modules are named, and are not there
    own.write_text(
        'add_dracutmodules+=" kiwi-overlay kiwi-verity "\ninstall_items+=" /etc/debian_version "\n'
    )
    said = appliance.build()
    assert said.status == 0, said.err
    return appliance


def archive(appliance: Appliance) -> bytes:
    """The compressed archive that dracut made, behind the one with the policy."""
    initrd = uki.read((appliance.target / f"{NAME}.efi").read_bytes()).initrd
    _, end = cpio.read_one(initrd)
    return initrd[end:].lstrip(b"\0")


@pytest.fixture(scope="module")
def entries(appliance: Appliance) -> dict[str, cpio.Entry]:
    done = subprocess.run(
        ["zstd", "-dc"], input=archive(appliance), capture_output=True, check=True
    )
    return {entry.path: entry for entry in cpio.read(done.stdout)}


def test_it_has_the_same_hook_and_what_the_hook_calls(entries: dict[str, cpio.Entry]) -> None:
    own = tiny_appliance.PACKAGE / "boot/initrd_files/kiwilite-root"
    assert entries["usr/lib/kiwilite/kiwilite-root"].data == own.read_bytes()
    assert "usr/sbin/veritysetup" in entries
    assert entries["usr/lib/kiwilite/bin/sh"].data == b"../busybox"
    assert any(path.endswith("/libgcc_s.so.1") for path in entries)
    modules = {path.rpartition("/")[2].split(".ko")[0] for path in entries if ".ko" in path}
    assert {"dm-verity", "overlay", "squashfs", "virtio_blk", "reed_solomon"} <= modules


def test_it_is_dracuts_init_without_systemd(entries: dict[str, cpio.Entry]) -> None:
    assert b"dracut-lib.sh" in entries["init"].data
    assert "usr/lib/systemd/systemd" not in entries


def test_the_descriptions_own_configuration_counts(entries: dict[str, cpio.Entry]) -> None:
    assert "etc/debian_version" in entries


def test_no_initrd_of_the_distribution_is_in_the_image(appliance: Appliance) -> None:
    listing = squashfs_listing(appliance.target / f"{NAME}.raw", "p.lxreadonly")
    assert any(path.startswith("/boot/vmlinuz-") for path in listing)
    assert not [path for path in listing if path.startswith("/boot/initrd")]


def test_dracut_makes_the_same_bytes_again(appliance: Appliance) -> None:
    first = archive(appliance)
    # a comment changes no initrd, but the step has to run for it
    with (appliance.folder / OWN).open("a") as stream:
        stream.write(f"# {time.time_ns()}\n")
    said = appliance.build()
    assert said.status == 0, said.err
    assert " boot-files " in said.err
    assert archive(appliance) == first
