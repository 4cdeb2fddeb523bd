"""Makes tests/unit/ondisk/integrity_superblocks.json: superblocks of real tools and kernels.

    python tests/vm/reference_superblocks.py

In virtual machines, cryptsetup formats devices (dm-linear on one large, sparse disk) of
many sizes with every encryption we know, and some of them grow and are opened again. What
then stands in the first 64 bytes of the superblock is kept; the unit tests compare our
formulas with it. It takes about fifteen minutes under emulation and needs no repeating.
"""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from volume_guest import guest, run

from kiwilite.vm.machine import Machine

TARGET = Path(__file__).parent.parent / "unit/ondisk/integrity_superblocks.json"
MADE_BY = (
    "tests/vm/reference_superblocks.py: cryptsetup luksFormat --integrity-no-wipe in a virtual"
    " machine; superblock: the first 64 bytes at byte 16777216 of the device, hexadecimal;"
    " grown_from: sectors the device had when it was formatted, before it was opened again"
)
MIB = 2048  # sectors
DISK_SECTORS = (6 << 40) // 512
FORMATS = (
    ("aes-gcm-random", "aead", 4096),
    ("aes-gcm-random", "aead", 512),
    ("aes-xts-plain64", "hmac-sha256", 4096),
    ("aes-xts-plain64", "hmac-sha256", 512),
    ("aes-xts-random", "hmac-sha256", 4096),
    ("aegis128-random", "aead", 4096),
    ("aegis128-random", "aead", 512),
)
KEY_BITS = {"aes-gcm-random": 256, "aegis128-random": 128}
FIXED = (20 * MIB, 25 * MIB, 33 * MIB, 128 * MIB, 321 * MIB, 1024 * MIB, 8 << 21, DISK_SECTORS)

_FORMAT = """
dmsetup create dev --table "0 {size} linear /dev/vda 0" &&
dd if=/dev/zero of=/dev/mapper/dev bs=1M count=17 conv=notrunc 2>/dev/null
printf key | cryptsetup luksFormat --batch-mode --type luks2 --cipher {cipher} \\
    --integrity {integrity} --sector-size {sector_size} --key-size {bits} --integrity-no-wipe \\
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file - /dev/mapper/dev &&
dd if=/dev/mapper/dev bs=512 skip=32768 count=1 iflag=direct 2>/dev/null |
    od -An -v -tx1 -N64 | tr -d ' \\n'
status=$?; dmsetup remove dev; [ $status = 0 ]
"""
_GROW = """
dmsetup create dev --table "0 {size} linear /dev/vda 0" &&
printf key | cryptsetup open --key-file - /dev/mapper/dev mapped && cryptsetup close mapped &&
dd if=/dev/mapper/dev bs=512 skip=32768 count=1 iflag=direct 2>/dev/null |
    od -An -v -tx1 -N64 | tr -d ' \\n'
status=$?; dmsetup remove dev; [ $status = 0 ]
"""


def sizes(seed: str) -> list[int]:
    """Device sizes in sectors, odd ones too, evenly spread over orders of magnitude."""
    rng = random.Random(seed)
    return [*FIXED, *(int(20 * MIB * 2 ** rng.uniform(0, 17)) for _ in range(8))]


def superblocks(machine: Machine, kernel: str) -> Iterator[dict[str, Any]]:
    version = run(machine, "cryptsetup --version | cut -d ' ' -f 2").strip()
    for cipher, integrity, sector_size in FORMATS:
        for number, size in enumerate(sizes(f"{kernel} {cipher} {sector_size}")):
            made = {
                "kernel": kernel,
                "cryptsetup": version,
                "cipher": cipher,
                "integrity": integrity,
                "sector_size": sector_size,
            }
            fields = {"bits": KEY_BITS.get(cipher, 512), "size": size, **made}
            output = run(machine, _FORMAT.format(**fields)).strip()
            yield {**made, "sectors": size, "superblock": output.splitlines()[-1]}
            if number % 4 == 1:
                grown = min(DISK_SECTORS, size * (number + 3) // 2 + number)
                output = run(machine, _GROW.format(size=grown)).strip()
                yield {
                    **made,
                    "sectors": grown,
                    "grown_from": size,
                    "superblock": output.splitlines()[-1],
                }


def main() -> None:
    found = []
    for kernel in ("6.12", "6.1"):
        with tempfile.TemporaryDirectory(prefix="kiwilite-superblocks-") as directory:
            disk = Path(directory) / "disk.raw"
            with disk.open("wb") as file:
                file.truncate(DISK_SECTORS * 512)
            with guest(kernel, [disk], Path(directory)) as machine:
                for item in superblocks(machine, kernel):
                    print(item, flush=True)
                    found.append(item)
    lines = ",\n".join(json.dumps(item) for item in found)
    TARGET.write_text(f'{{"made_by": {json.dumps(MADE_BY)},\n"superblocks": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    main()
