"""A machine that was killed left blocks in the journal only: they are read from there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from uuid import UUID

import pytest
from volume_guest import guest, run

from kiwilite.build.luks_volume import VolumeIdentity, geometry_for, write_volume
from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.integrity import SECTOR
from kiwilite.ondisk.integrity_journal import pending, replayed
from kiwilite.ondisk.luks2.header import unpack
from kiwilite.ondisk.luks2.kdf import Pbkdf2
from kiwilite.ondisk.luks2.volume import unlock
from kiwilite.ondisk.payload import Payload, ReadAt, check_area
from kiwilite.ondisk.sectors import GOOD, sector_cipher

pytestmark = pytest.mark.vm

MIB = 1 << 20
SIZE = 340 * MIB
KIND = encryption("aes-gcm-random", "aead", 4096)
BLOCKS = [3, 4, 8191, 60000]
"""Blocks of 4096 that are written twice.

A synced write takes a section of the journal, and the kernel puts blocks into place once half
of the 20 sections are taken: these eight leave all of them in the journal.
"""


def make(folder: Path) -> Path:
    inner = folder / "inner"
    with inner.open("wb") as stream:
        stream.truncate(geometry_for(SIZE, KIND, "written").provided_bytes)
    subprocess.run(["mkfs.xfs", "-q", inner], check=True)
    who = VolumeIdentity(UUID(int=1), UUID(int=2))
    keys = [("", b"insecure", Pbkdf2("sha256", 1000))]
    image = folder / "volume"
    write_volume(image, SIZE, inner, KIND, keys, who, fill="full", journal="written")
    return image


def content(payload: Payload, read: ReadAt, block: int) -> tuple[int, bytes]:
    """State and plain text of a block."""
    place, sector = payload.geometry, block * 8
    data = read(place.data_sector(sector) * SECTOR, 4096)
    tags = read(place.tag_byte(sector), place.tag_bytes)
    plain, states = payload.cipher.open(sector, data, tags)
    return states[0], bytes(plain)


def test_what_was_synced_before_a_machine_was_killed_is_read_from_the_journal(
    tmp_path: Path,
) -> None:
    image = make(tmp_path)
    pattern = (b"written twice\n" * 400)[:4096]
    with guest("6.12", [image], tmp_path) as machine:
        run(machine, "printf insecure | cryptsetup open --key-file - /dev/vda v")
        run(
            machine,
            "yes 'written twice' | head -c 4096 >/run/new; head -c 4096 /dev/zero >/run/old",
        )
        for name in ("old", "new"):
            command = f"dd if=/run/{name} of=/dev/mapper/v bs=4096 count=1 conv=fsync 2>/dev/null"
            run(machine, "; ".join(f"{command} seek={block}" for block in BLOCKS))
    descriptor = os.open(image, os.O_RDONLY)

    def read(offset: int, length: int) -> bytes:
        return os.pread(descriptor, length, offset)

    header = unpack(read(0, 16 * MIB))
    key = unlock(header, read, b"insecure")
    payload = Payload(geometry_for(SIZE, KIND, "written"), sector_cipher(KIND, key))
    patches = pending(payload.geometry, read)
    assert patches
    through = replayed(patches, read)
    assert [content(payload, through, block) for block in BLOCKS] == [(GOOD, pattern)] * len(BLOCKS)
    assert [f for n in payload.areas for f in check_area(payload, n, through)] == []
    stale = [block for block in BLOCKS if content(payload, read, block) != (GOOD, pattern)]
    assert stale == BLOCKS, "the kernel had put blocks into place: this shows less than it says"
