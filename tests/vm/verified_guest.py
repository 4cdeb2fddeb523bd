"""Boots the tiny verified appliance past the firmware, whole or damaged."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from opened_image import partition
from verified_appliance import BLOB, Built

from kiwilite.boot import uki
from kiwilite.ondisk import cpio
from kiwilite.vm.machine import Firmware, MachineSpec, start

POLICY = "etc/kiwilite/policy"


@dataclass(frozen=True, slots=True)
class Guest:
    """A built appliance with a disk of its own."""

    built: Built
    disk: Path

    @property
    def policy(self) -> str:
        """The policy in the unified kernel image."""
        entries, _ = self._first_archive()
        return next(entry.data.decode() for entry in entries if entry.path == POLICY)

    def _first_archive(self) -> tuple[Sequence[cpio.Entry], int]:
        """The archive with the policy, and a key where there is one; and where it ends."""
        return cpio.read_one(uki.read(self.built.uki.read_bytes()).initrd)

    def boot(self, *words: str, root_hash: str = "", in_policy: str = "") -> str:
        """Boot the kernel with the UKI's command line and `words`.

        `root_hash` takes the place of the image's, `in_policy` in the policy only. Gives the
        console's text once init has powered off, or the boot has failed.
        """
        own = self.built.root_hash
        image = uki.read(self.built.uki.read_bytes())
        initrd, kernel = self.disk.with_suffix(".initrd"), self.disk.with_suffix(".kernel")
        kernel.write_bytes(image.linux)
        entries, end = self._first_archive()
        policy = self.policy.replace(own, in_policy or root_hash or own)
        changed = [
            cpio.regular(POLICY, policy.encode(), 0o400) if entry.path == POLICY else entry
            for entry in entries
        ]
        initrd.write_bytes(cpio.write(changed, mtime=0) + image.initrd[end:])
        # Without the check, as an emulated kernel on a busy host may miss its timer and panic.
        line = f"{image.profiles[0].cmdline} no_timer_check panic=-1".replace(own, root_hash or own)
        spec = MachineSpec(
            image=self.disk,
            image_format="raw",
            kernel=kernel,
            initrd=initrd,
            cmdline=" ".join([line, *words]),
            firmware=Firmware.BIOS,
            memory_mib=1024,
        )
        with start(spec) as machine:
            console = machine.console
            console.expect(r"INIT: done|rebooting in|Kernel panic|[#$] $", timeout=400)
            time.sleep(2)  # whatever wrongly came next would show now
            return console.text

    def blob_block(self, name: str) -> int:
        """Byte offset on the disk of a block of 4096 that has nothing but the blob's bytes."""
        start_of, size = partition(self.disk, name)
        with self.disk.open("rb") as disk:
            disk.seek(start_of)
            content = disk.read(size)
        place = content.index(BLOB[8192:8256])
        return start_of + -(-place // 4096) * 4096

    def overwrite(self, offset: int, data: bytes) -> None:
        """Damage the disk."""
        with self.disk.open("r+b") as disk:
            disk.seek(offset)
            disk.write(data)


def guest(built: Built, folder: Path) -> Guest:
    """A guest whose disk may be damaged."""
    disk = folder / "disk.raw"
    subprocess.run(["cp", "--sparse=always", built.raw, disk], check=True)
    return Guest(built, disk)
