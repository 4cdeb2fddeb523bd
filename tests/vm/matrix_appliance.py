"""A small real image for many boots: no systemd, an init that tells what it stands on.

One build for each sector size, with an encrypted overlay that is made with the image, and
two with an overlay in memory, which start faster. The kernel is the distribution's full one:
the one for clouds has no drivers for AHCI and USB.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kiwilite.ondisk import gpt
from kiwilite.vm.machine import Bus, Disk, Firmware, MachineSpec, Writes, start

REPORT_END = "matrix: end"
BOOT_TIMEOUT = 600  # seconds; emulated on a busy machine

DESCRIPTION = """\
<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="8.5" name="matrix">
    <description type="system">
        <author>The kiwilite developers</author>
        <contact>root@localhost</contact>
        <specification>Boots everywhere, says so, powers off</specification>
    </description>
    <preferences source_date_epoch="1754697600">
        <version>1.0.0</version>
        <packagemanager>apt</packagemanager>
        <type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true" on_failure="halt"
              squashfscompression="zstd" squashfscompression_level="1"
              verity_blocks="all" kernelcmdline="console=ttyS0 no_timer_check" {attributes}>
            <bootloader name="systemd_boot" timeout="0"/>
            <partitions>
                <partition name="home" size="40" mountpoint="/home" filesystem="ext4"
                           label="HOME"/>
                <partition name="srv" size="320" mountpoint="/srv" filesystem="xfs"
                           label="SRV"/>
            </partitions>
        </type>
    </preferences>
    <users>
        <user name="root" groups="root" home="/root" password="*"/>
    </users>
    <repository type="apt-deb" alias="debian" distribution="trixie" components="main">
        <source path="distro:debian"/>
    </repository>
    <repository type="apt-deb" alias="debian-security" distribution="trixie-security"
                components="main">
        <source path="distro:debian-security"/>
    </repository>
    <packages type="bootstrap">
        <package name="ca-certificates"/>
        <package name="passwd"/>
    </packages>
    <packages type="image">
        <package name="linux-image-amd64"/>
        <package name="systemd-boot-efi"/>
        <package name="busybox-static"/>
        <package name="cryptsetup-bin"/>
        <package name="kmod"/>
        <package name="mount"/>
        <package name="xfsprogs"/>
        <package name="grub-pc-bin"/>
        <package name="grub-common"/>
    </packages>
</image>
"""

# Everything below the header of a report is `name: value`, one per line.
INIT = """\
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -a
# The disk's serial is what QEMU calls it: disk0 is the one the machine was to boot.
serial() { # of the nearest device above the disk that has one
    device=$(readlink -f "/sys/class/block/$1")
    while [ "$device" != /sys ]; do
        if [ -r "$device/serial" ]; then
            tr -d ' \\n' <"$device/serial" && return
        elif [ -r "$device/vpd_pg80" ]; then # SCSI: four bytes of header before it
            tail -c +5 "$device/vpd_pg80" | tr -d ' \\0\\n' && return
        fi
        device=$(dirname "$device")
    done
}
disk_of() { # a partition, as the kernel calls it
    path=$(readlink -f "/sys/class/block/$1") && basename "$(dirname "$path")"
}
partition=$(ls /sys/block/dm-0/slaves)
disk=$(disk_of "$partition")
echo "matrix: begin"
echo "firmware: $([ -d /sys/firmware/efi ] && echo uefi || echo bios)"
echo "disk: $disk"
echo "serial: $(serial "$disk")"
echo "sector: $(cat "/sys/class/block/$disk/queue/logical_block_size")"
echo "root: $(findmnt -no FSTYPE /) $(findmnt -no FSTYPE /run/kiwilite/verity || echo -)"
echo "home: $(findmnt -no FSTYPE /home) $(disk_of "$(basename "$(findmnt -no SOURCE /home)")")"
echo "srv: $(findmnt -no FSTYPE /srv) $(disk_of "$(basename "$(findmnt -no SOURCE /srv)")")"
echo "written: $(echo hello >/srv/a && sync && cat /srv/a)"
echo "upper: $(echo hello >/kept && sync && cat /kept; findmnt -no FSTYPE /run/kiwilite/overlay)"
echo "cmdline: $(cat /proc/cmdline)"
echo "matrix: end"
sync
umount /home /srv
busybox poweroff -f
"""

IN_MEMORY = 'overlayroot_write_partition="false"'
VOLUME = 'luks="x" luks_version="luks2" luks_unlock="embedded" provisioning="build"'

ATTRIBUTES: Mapping[str, str] = {
    "both-firmwares": f'{IN_MEMORY} eficsm="true" gpt_hybrid_mbr="true"',
    "4096": f'{IN_MEMORY} target_blocksize="4096"',
    "both-firmwares-with-volume": f'{VOLUME} eficsm="true"',
    "4096-with-volume": f'{VOLUME} target_blocksize="4096"',
}
"""What the images differ in: where the overlay is, sectors, firmware."""


def description(base: Path, name: str) -> Path:
    """The folder with the description of the image called so in ATTRIBUTES."""
    folder = base / f"description-{name}"
    (folder / "root/usr/sbin").mkdir(parents=True)
    (folder / "appliance.kiwi").write_text(DESCRIPTION.format(attributes=ATTRIBUTES[name]))
    init = folder / "root/usr/sbin/init"
    init.write_text(INIT)
    init.chmod(0o755)
    return folder


def build(base: Path, name: str) -> Path:
    """Build it; the raw file, with the others beside it."""
    folder, target = description(base, name), base / f"out-{name}"
    command = [sys.executable, "-m", "kiwilite", "system", "build"]
    done = subprocess.run(
        [*command, "--description", folder, "--target-dir", target],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (raw,) = target.glob("*.raw")
    return raw


def place_of(raw: Path, name: str) -> int:
    """Where a partition begins, in bytes."""
    with raw.open("rb") as disk:
        table = gpt.read(disk)
    return next(p.first_lba for p in table.partitions if p.name == name) * table.sector_size


@dataclass(frozen=True, slots=True)
class Seen:
    """What the init of one boot said, by name."""

    rows: Mapping[str, str]
    text: str

    def __getitem__(self, name: str) -> str:
        return self.rows[name]


def boot(
    raw: Path, firmware: Firmware, bus: Bus, sector_size: int, others: tuple[Disk, ...] = ()
) -> Seen:
    """Boot from `raw` until its init has told all and powered off; nothing is written to it."""
    spec = MachineSpec(
        image=raw,
        firmware=firmware,
        memory_mib=1024,
        disk_bus=bus,
        sector_size=512 if sector_size == 512 else 4096,
        writes=Writes.DISCARDED,
        extra_disks=others,
    )
    with start(spec) as machine:
        console = machine.console
        console.expect(rf"{REPORT_END}|kiwilite: FAILED|Kernel panic|grub>", BOOT_TIMEOUT)
        text = console.text
        assert REPORT_END in text, console.tail(60)
        machine.wait(120)
    report = text[text.index("matrix: begin") :]
    return Seen(dict(re.findall(r"^(\w+): (.*?)\r?$", report, re.M)), text)


def boot_second_entry(raw: Path) -> str:
    """Boot by BIOS, ask GRUB for its menu, take the second entry, wait for init's report."""
    spec = MachineSpec(image=raw, firmware=Firmware.BIOS, memory_mib=1024, writes=Writes.DISCARDED)
    with start(spec) as machine:
        console = machine.console
        deadline = time.monotonic() + BOOT_TIMEOUT
        while "(factory reset)" not in console.text and time.monotonic() < deadline:
            console.send("\x1b")
            time.sleep(0.3)
        console.send("\x0e")  # Ctrl-N: the next one
        time.sleep(1)
        console.send("\n")
        console.expect(rf"{REPORT_END}|kiwilite: FAILED|Kernel panic", BOOT_TIMEOUT)
        return console.text
