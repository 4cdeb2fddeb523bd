"""Headers, geometry and sectors, as a stock kernel and cryptsetup make them, against ours.

One machine formats parts of a huge sparse disk, of sizes drawn at random, and writes some
blocks under keys we know. What it leaves is read from the outside.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from volume_guest import guest, run

from kiwilite.ondisk import integrity
from kiwilite.ondisk.encryption import Encryption, encryption
from kiwilite.ondisk.integrity import SECTOR, IntegritySuperblock
from kiwilite.ondisk.payload import Extent, Payload
from kiwilite.ondisk.sectors import GOOD, sector_cipher

pytestmark = pytest.mark.vm

MIB = 1 << 20
SEED = 20_240_611
SEGMENT = 16 * MIB
KINDS = [
    encryption("aes-gcm-random", "aead", 4096),
    encryption("aes-gcm-random", "aead", 512),
    encryption("aes-xts-plain64", "hmac-sha256", 4096),
    encryption("aes-xts-plain64", "hmac-sha256", 512),
    encryption("aes-xts-random", "hmac-sha256", 4096),
    encryption("aegis128-random", "aead", 4096),
    encryption("aegis128-random", "aead", 512),
]
SIZES_EACH = 3


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the disk, in bytes, and what it is formatted with."""

    start: int
    size: int
    kind: Encryption

    @property
    def key(self) -> bytes:
        return bytes(range(self.kind.key_bytes))

    def table(self) -> str:
        return f"0 {self.size // SECTOR} linear /dev/vda {self.start // SECTOR}"


def parts() -> list[Part]:
    """Of every kind, a few sizes from 24 MiB to 256 GiB; no two overlap."""
    draw, start, rows = random.Random(SEED), 0, []
    for kind in KINDS:
        for _ in range(SIZES_EACH):
            size = int(2 ** draw.uniform(24.6, 38)) // SECTOR * SECTOR
            rows.append(Part(start, size, kind))
            start += -(-size // MIB) * MIB
    return rows


def commands(part: Part) -> list[str]:
    kind = part.kind
    bits = (kind.key_bytes - (0 if kind.integrity == "aead" else 32)) * 8
    options = (
        f"--cipher {kind.cipher} --integrity {kind.integrity} --key-size {bits}"
        f" --sector-size {kind.sector_size} --pbkdf pbkdf2 --pbkdf-force-iterations 1000"
        " --integrity-no-wipe --master-key-file /run/key --key-file /run/phrase"
    )
    escaped = "".join(f"\\{byte:03o}" for byte in part.key)
    write = "dd if=/run/pattern of=/dev/mapper/v oflag=direct bs=4096 count=1 conv=fsync 2>&1"
    return [
        f"printf '{escaped}' >/run/key; echo '{part.table()}' | dmsetup create p",
        f"cryptsetup luksFormat -q {options} /dev/mapper/p",
        "cryptsetup open --key-file /run/phrase /dev/mapper/p v",
        f"last=$(($(blockdev --getsz /dev/mapper/v) / 8 - 1)); {write}; {write} seek=$last",
        "cryptsetup close v; dmsetup remove p",
    ]


def test_a_real_device_has_our_geometry_and_its_sectors_open_with_our_functions(
    tmp_path: Path,
) -> None:
    disk, rows = tmp_path / "disk", parts()
    with disk.open("wb") as stream:
        stream.truncate(rows[-1].start + rows[-1].size)
    with guest("6.12", [disk], tmp_path) as machine:
        run(machine, "printf secret >/run/phrase; yes pattern | head -c 4096 >/run/pattern")
        for part in rows:
            for command in commands(part):
                run(machine, command)
        run(machine, "sync")
    for part in rows:
        check(disk, part)


def check(disk: Path, part: Part) -> None:
    def read(offset: int, length: int) -> bytes:
        with disk.open("rb") as stream:
            stream.seek(part.start + offset)
            return stream.read(length)

    ours = integrity.geometry(part.size, part.kind)
    raw = read(SEGMENT, 4096)
    assert raw == ours.superblock().pack(), f"{part}: {IntegritySuperblock.unpack(raw)}"
    payload = Payload(ours, sector_cipher(part.kind, part.key))
    pattern = (b"pattern\n" * 512)[:4096]
    for block in (Extent(0, 4096), Extent(ours.provided_bytes - 4096, 4096)):
        sector = block.start // SECTOR
        data = read(ours.data_sector(sector) * SECTOR, 4096)
        width = 4096 // part.kind.sector_size * part.kind.tag_bytes
        tags = read(ours.tag_byte(sector), width)
        plain, states = payload.cipher.open(sector, data, tags)
        assert set(states) == {GOOD}, part
        assert plain == pattern, part
