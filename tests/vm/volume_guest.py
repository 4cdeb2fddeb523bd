"""A guest with a stock Debian kernel, cryptsetup and xfsprogs, that ends in a shell.

For volumes written on the host: what the kernel and the tools of a release say of them.
Everything runs from the initrd; disks are only looked at.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from initrd_guest import host_mirror
from tiny_guest import cache_directory

from kiwilite.boot import initrd
from kiwilite.ondisk import cpio
from kiwilite.vm.machine import Machine, start
from kiwilite.vm.spec import Disk, Firmware, MachineSpec

SUITES = {"6.12": "trixie", "6.1": "bookworm"}
"""Kernel version → the Debian release that has it, with its tools."""

PACKAGES = (
    "base-files",
    "busybox-static",
    "coreutils",
    "cryptsetup-bin",
    "dmsetup",
    "kmod",
    "linux-image-cloud-amd64",
    "util-linux",
    "xfsprogs",
)
PROGRAMS = (
    "blkid", "cryptsetup", "dd", "dmsetup", "mkfs.xfs",
    "xfs_db", "xfs_growfs", "xfs_io", "xfs_repair",
)  # fmt: skip
MODULES = (
    "dm-crypt", "dm-integrity", "xfs", "af_alg", "algif_aead", "algif_skcipher", "algif_hash",
    "gcm", "ctr", "xts", "ecb", "authenc", "hmac", "sha256", "aes", "aegis128",
)  # fmt: skip
DRIVERS = ("virtio_pci", "virtio_blk", "aesni_intel", "sha256_ssse3", "crc32c_generic")
# bookworm's base-files brings no /lib → /usr/lib
_MERGED_USR = "/usr/share/mmdebstrap/hooks/merged-usr"
_SCRIPTS = frozenset({"init", "kiwilite-root"})

_INIT = """#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox HOME=/ PS1='guest# ' DM_DISABLE_UDEV=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmpfs /run
while read -r module; do modprobe -q "$module" 2>/dev/null; done </etc/kiwilite/modules
busybox mkdir -p /run/cryptsetup /mnt /busybox
busybox --install -s /busybox
dmesg -n 1
echo "guest is up"
while true; do setsid cttyhack sh -i; done
"""


def tree_of(suite: str) -> Path:
    """An unpacked Debian of that release with PACKAGES; made once and kept."""
    key = sha256(" ".join(PACKAGES).encode()).hexdigest()[:12]
    tree = cache_directory() / f"volumes-{suite}-{key}"
    with tree.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.is_dir():
            _make_tree(suite, tree)
    return tree


def _make_tree(suite: str, tree: Path) -> None:
    work = tree.with_name(f".{tree.name}")
    shutil.rmtree(work, ignore_errors=True)
    keyring = "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg"
    include = "--include=" + ",".join(PACKAGES)
    subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", f"--hook-dir={_MERGED_USR}", include,
         keyring, suite, work, host_mirror()],
        check=True,
    )  # fmt: skip
    subprocess.run(["depmod", "-b", work, _kernel_version(work)], check=True)
    work.rename(tree)


def _kernel_version(tree: Path) -> str:
    (directory,) = (tree / "usr/lib/modules").iterdir()
    return directory.name


def _make_initrd(tree: Path) -> bytes:
    entries = initrd.collect(
        tree, _kernel_version(tree), required=MODULES, optional=DRIVERS, programs=PROGRAMS
    )
    taken = [entry for entry in entries if entry.path not in _SCRIPTS]
    init = cpio.regular("init", _INIT.encode(), 0o755)
    return cpio.write([*taken, init], mtime=0)


@contextmanager
def guest(
    kernel: str, disks: Sequence[Path], scratch: Path, *, memory_mib: int = 1024
) -> Iterator[Machine]:
    """A machine with the kernel (a key of SUITES) at its shell; disks are /dev/vda and on.

    The disks take the guest's writes. `scratch` is a folder for the initrd.
    """
    tree = tree_of(SUITES[kernel])
    version = _kernel_version(tree)
    assert version.startswith(f"{kernel}."), version
    archive = scratch / f"{kernel}.initrd"
    archive.write_bytes(_make_initrd(tree))
    spec = MachineSpec(
        kernel=tree / f"boot/vmlinuz-{version}",
        initrd=archive,
        # Without the check, as an emulated kernel on a busy host may miss its timer and panic.
        cmdline="console=ttyS0 no_timer_check panic=-1 quiet",
        firmware=Firmware.BIOS,
        memory_mib=memory_mib,
        extra_disks=tuple(Disk(path, "raw") for path in disks),
    )
    with start(spec) as machine:
        machine.console.expect("guest is up", timeout=300)
        machine.console.wait_for_shell()
        yield machine


def run(machine: Machine, command: str, *, timeout: float = 600) -> str:
    """The output of a command that must succeed."""
    result = machine.console.run(command, timeout=timeout)
    assert result.status == 0, f"{command}: {result.status}\n{result.output}"
    return result.output
