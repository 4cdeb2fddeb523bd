"""Volumes as the writer makes them on the host, and how the guest of a kernel works with them.

A volume stands at the start of a disk with room behind it; in the guest a linear device as
long as the volume stands for its partition, so that it can grow.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import UUID

from volume_guest import run

from kiwilite.build.luks_volume import (
    Fill,
    Journal,
    VolumeIdentity,
    geometry_for,
    write_volume,
)
from kiwilite.build.stages.filesystem import XFS_FEATURES
from kiwilite.ondisk.encryption import Encryption, encryption
from kiwilite.ondisk.integrity import Geometry, with_provided
from kiwilite.ondisk.luks2.header import unpack
from kiwilite.ondisk.luks2.kdf import Pbkdf2
from kiwilite.ondisk.luks2.tokens import written_extents
from kiwilite.vm.machine import Machine

MIB = 1 << 20
VOLUME_BYTES = 352 * MIB
GROWN_BYTES = 448 * MIB
KEY = b"insecure"
BLOCK = 4096

ENCRYPTIONS = {
    "xts-hmac-4096": encryption("aes-xts-plain64", "hmac-sha256", 4096),
    "gcm-4096": encryption("aes-gcm-random", "aead", 4096),
    "gcm-512": encryption("aes-gcm-random", "aead", 512),
}
_FILE_BYTES = 5 * MIB + 123
_IDENTITY = VolumeIdentity(
    UUID("6a1f5d0e-3c1b-4f2a-9d8e-0b7c6a5d4e3f"), UUID("abcdef01-2345-4678-9abc-def012345678")
)


@dataclass(frozen=True, slots=True)
class Volume:
    """One way to write a volume, the disk it is on, and the file it was made from."""

    encryption: Encryption
    fill: Fill
    journal: Journal
    disk: Path
    source: Path

    @property
    def geometry(self) -> Geometry:
        return geometry_for(VOLUME_BYTES, self.encryption, self.journal)

    @property
    def grown(self) -> Geometry:
        return with_provided(self.geometry, GROWN_BYTES)

    def written(self) -> tuple[tuple[int, int], ...]:
        """What the header says is written: first block and number, blocks of 4096 bytes."""
        with self.disk.open("rb") as disk:
            extents = written_extents(unpack(disk.read(32768)).metadata.tokens)
        return extents or ((0, self.geometry.provided_bytes // BLOCK),)

    def holes(self) -> Iterator[tuple[int, int]]:
        """What it does not say: byte and length of each gap."""
        end = 0
        for first, count in self.written():
            if first > end:
                yield end * BLOCK, (first - end) * BLOCK
            end = first + count
        if (size := self.geometry.provided_bytes) > end * BLOCK:
            yield end * BLOCK, size - end * BLOCK


def make_volume(directory: Path, name: str, fill: Fill, journal: Journal) -> Volume:
    """A volume with an XFS that has a file of five MiB in it."""
    chosen = ENCRYPTIONS[name]
    base = directory / f"{name}-{fill}-{journal}"
    volume = Volume(chosen, fill, journal, base.with_suffix(".raw"), base.with_suffix(".xfs"))
    _make_source(volume, directory / "content")
    keys = [("", KEY, Pbkdf2("sha256", 1000))]
    write_volume(
        volume.disk, VOLUME_BYTES, volume.source, chosen, keys, _IDENTITY,
        fill=fill, journal=journal,
    )  # fmt: skip
    os.truncate(volume.disk, GROWN_BYTES)
    return volume


def file_content() -> bytes:
    """What the file `content` in each volume has."""
    return random.Random(1).randbytes(_FILE_BYTES)


def _make_source(volume: Volume, content: Path) -> None:
    content.write_bytes(file_content())
    prototype = content.with_suffix(".prototype")
    prototype.write_text(f"/dev/null\n0 0\nd--755 0 0\ncontent ---644 0 0 {content}\n$\n")
    with volume.source.open("wb") as file:
        file.truncate(volume.geometry.provided_bytes)
    # the log, which is written in full, as small as mkfs.xfs allows
    log = ["--unsupported", "-l", f"size={16 * MIB}"]
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", *XFS_FEATURES, *log, "-b", "size=4096", "-s",
         f"size={volume.encryption.sector_size}", "-p", prototype, volume.source],
        check=True,
    )  # fmt: skip
    subprocess.run(["xfs_repair", "-n", "-f", volume.source], check=True, capture_output=True)


def blocks_with_data(path: Path) -> Iterator[int]:
    """Numbers of the blocks of 4096 bytes that are not zero; holes are not asked."""
    zeros = bytes(BLOCK)
    with path.open("rb") as file:
        number = 0
        while block := file.read(BLOCK):
            if block != zeros:
                yield number
            number += 1


def digest_of(path: Path, extents: tuple[tuple[int, int], ...]) -> str:
    """SHA-256, hexadecimal, over extents of blocks, one after the other."""
    digest = sha256()
    with path.open("rb") as file:
        for first, count in extents:
            file.seek(first * BLOCK)
            for _ in range(count):
                digest.update(file.read(BLOCK))
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Opened:
    """A volume in a guest: `part` stands for its partition, `mapped` is what is in it."""

    machine: Machine
    disk: str
    part: str = "/dev/mapper/part"
    mapped: str = "/dev/mapper/volume"

    def run(self, command: str, *, timeout: float = 900) -> str:
        """The output of a command that must succeed."""
        return run(self.machine, command, timeout=timeout)

    def attach(self, size: int) -> None:
        """Make the partition, `size` bytes long."""
        self.run(f'dmsetup create part --table "0 {size // 512} linear {self.disk} 0"')

    def detach(self) -> None:
        self.run("dmsetup remove part")

    def open(self) -> None:
        key = KEY.decode()
        self.run(f"printf {key} | cryptsetup open --key-file - {self.part} volume")

    def close(self) -> None:
        self.run("cryptsetup close volume")

    @contextmanager
    def mounted(self) -> Iterator[None]:
        self.run(f"mount -t xfs {self.mapped} /mnt")
        yield
        self.run("umount /mnt")

    def size(self) -> int:
        """Bytes of the mapped device."""
        return int(self.run(f"blockdev --getsize64 {self.mapped}"))

    def digest(self, extents: tuple[tuple[int, int], ...]) -> str:
        """As `digest_of`, of the mapped device."""
        reads = "".join(
            f"dd if={self.mapped} bs=64K iflag=direct,skip_bytes,count_bytes,fullblock "
            f"skip={first * BLOCK} count={count * BLOCK} status=none || echo failed; "
            for first, count in extents
        )
        return self.run(f"{{ {reads} }} | sha256sum").split()[0]

    def zero(self, start: int, length: int) -> None:
        """Write authenticated zeros."""
        self.run(
            f"dd if=/dev/zero of={self.mapped} bs=1M oflag=direct,seek_bytes "
            f"iflag=count_bytes,fullblock seek={start} count={length} conv=fsync status=none"
        )

    def failing_sectors(self, first: int, count: int, size: int) -> dict[int, str]:
        """Of `count` sectors of `size` bytes from number `first` on: those not readable, why."""
        self.run(f"blockdev --setra 0 {self.mapped}")
        output = self.run(
            f"for i in $(seq {first} {first + count - 1}); do "
            f'xfs_io -d -r -c "pread -q -b {size} $((i * {size})) {size}" {self.mapped} '
            '>/run/error 2>&1; [ -s /run/error ] && echo "$i $(cat /run/error)"; done; true'
        )
        found = (line.split(" ", 1) for line in output.splitlines())
        return {int(number): why for number, why in found}

    def repair_finds_nothing(self) -> bool:
        result = self.machine.console.run(f"xfs_repair -n {self.mapped}", timeout=600)
        return result.status == 0
