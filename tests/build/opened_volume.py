"""Looks into an encrypted volume from the outside, without device-mapper."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from kiwilite.ondisk.encryption import encryption_of_segment
from kiwilite.ondisk.integrity import IntegritySuperblock, geometry_of
from kiwilite.ondisk.luks2.header import unpack
from kiwilite.ondisk.luks2.volume import unlock
from kiwilite.ondisk.payload import Payload, decrypt_area
from kiwilite.ondisk.sectors import BAD, Buffer, sector_cipher


def opens(volume: Path, phrase: bytes) -> bool:
    """Whether cryptsetup opens a keyslot with this passphrase."""
    done = subprocess.run(
        ["cryptsetup", "open", "--test-passphrase", "--key-file", "-", volume],
        input=phrase,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def decrypted(volume: Path, phrase: bytes, target: Path) -> Path:
    """The file system in a volume, as a file; no sector may be damaged."""
    with volume.open("rb") as stream, target.open("wb") as out:

        def read(offset: int, length: int) -> bytes:
            return os.pread(stream.fileno(), length, offset)

        def write(offset: int, data: Buffer) -> None:
            os.pwrite(out.fileno(), data, offset)

        payload = _payload(read(0, 17 << 20), phrase)
        out.truncate(payload.geometry.provided_bytes)
        found = [f for n in payload.areas for f in decrypt_area(payload, n, read, write)]
    assert not [f for f in found if f.state == BAD]
    return target


def _payload(start: bytes, phrase: bytes) -> Payload:
    header = unpack(start)
    key = unlock(header, lambda at, n: start[at : at + n], phrase)
    (segment,) = header.metadata.segments
    assert segment.integrity is not None
    kind = encryption_of_segment(
        segment.encryption, segment.integrity.type, segment.sector_size, len(key)
    )
    superblock = IntegritySuperblock.unpack(start[segment.offset : segment.offset + 4096])
    place = geometry_of(superblock, segment_offset=segment.offset)
    return Payload(place, sector_cipher(kind, key))


def is_clean(filesystem: Path) -> bool:
    """Whether xfs_repair has nothing to say against an XFS on a file."""
    done = subprocess.run(
        ["xfs_repair", "-n", "-f", filesystem], capture_output=True, text=True, check=False
    )
    print(done.stdout, done.stderr)
    return done.returncode == 0
