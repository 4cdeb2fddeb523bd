"""A LUKS2 volume with authenticated encryption and an empty XFS, written on a plain file.

The file system is made on a sparse file and encrypted from there, area by area, by
worker processes. `full` writes all of it. `sparse` writes what the file system has
written, and the zones that tools read although it has not: the log, the head and the
tail, which probes for signatures read, and the start of every allocation group, which
repair tools read. All else stays a hole; a token in the LUKS2 header names what is
written, and the first boot fills the rest with authenticated zeros before it mounts.
A full volume has the token too, with one extent: a larger disk may leave a rest there.

The volume key and the IVs come from the operating system's random numbers, so that the
volume differs from build to build. They are not derived from the description, however
convenient that would be for reproducibility: whoever has the description would then have
the key, and an IV could come back with a key it was used with.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.ondisk import integrity
from kiwilite.ondisk.encryption import Encryption
from kiwilite.ondisk.integrity import (
    FLAG_DIRTY_BITMAP,
    FLAG_FIXED_PADDING,
    SECTOR,
    SUPERBLOCK_BYTES,
    Geometry,
    fresh_section,
)
from kiwilite.ondisk.luks2 import volume as luks2
from kiwilite.ondisk.luks2.kdf import Kdf
from kiwilite.ondisk.luks2.metadata import Token
from kiwilite.ondisk.luks2.tokens import written_token
from kiwilite.ondisk.payload import Extent, Payload, WriteAt, by_area, encrypt, united
from kiwilite.ondisk.sectors import Buffer, sector_cipher
from kiwilite.ondisk.sparse import data_ranges
from kiwilite.ondisk.xfs import SUPERBLOCK_BYTES as XFS_SUPERBLOCK_BYTES
from kiwilite.ondisk.xfs import XfsSuperblock
from kiwilite.parallel import run_all

BLOCK = 4096
"""Unit of the written zones."""
KIB, MIB = 1 << 10, 1 << 20
JOURNAL_BYTES = 4 * MIB
"""Of a journal written at build time: large enough that it costs no speed."""
HEAD_BYTES = 4 * MIB + 64 * KIB
TAIL_BYTES = 2 * MIB
GROUP_BYTES = 128 * KIB
"""What blkid reads at both ends, and xfs_repair at the start of each group, with a margin."""
CLOSE = 64 * KIB
"""Written extents with less between them become one, to keep the header's list short."""
MOST_EXTENTS = 250
"""More would not fit into the header beside some keyslots."""

SPARSE = "kiwilite-sparse"
"""LUKS2 subsystem of a volume that never was opened: the initrd fills the holes, if any."""

Fill = Literal["sparse", "full"]
Journal = Literal["written", "deferred"]


class TooFragmented(KiwiliteError):
    """The file system has too many written extents to name in the header."""


@dataclass(frozen=True, slots=True)
class VolumeIdentity:
    """What tells volumes apart: the LUKS2 UUID, and the volume id, which is the LUKS2 label."""

    uuid: UUID
    volume_id: UUID


def geometry_for(size: int, encryption: Encryption, journal: Journal) -> Geometry:
    """The geometry of a volume on a partition of `size` bytes. Raises TooSmallForIntegrity.

    A journal that the kernel writes has cryptsetup's usual size, as it costs the image nothing.
    """
    usual = integrity.geometry(size, encryption)
    if journal == "deferred" or usual.journal_bytes <= JOURNAL_BYTES:
        return usual
    return integrity.geometry(size, encryption, journal_bytes=JOURNAL_BYTES)


def write_volume(
    image: Path,
    size: int,
    filesystem: Path,
    encryption: Encryption,
    keys: Sequence[tuple[str, bytes, Kdf]],
    identity: VolumeIdentity,
    *,
    fill: Fill,
    journal: Journal,
) -> None:
    """Make `image`, a volume of `size` bytes that holds the XFS on the file `filesystem`.

    The file system has exactly the bytes that `geometry_for` provides. Memory does not
    grow with the size. Raises TooFragmented.
    """
    volume_key = os.urandom(encryption.key_bytes)
    geometry = geometry_for(size, encryption, journal)
    payload = Payload(geometry, sector_cipher(encryption, volume_key))
    with filesystem.open("rb") as plain, image.open("wb") as target:
        target.truncate(size)
        write = _writer(target.fileno())
        extents: tuple[Extent, ...] = (Extent(0, geometry.provided_bytes),)
        if fill == "sparse":
            extents = written_zones(plain.fileno(), geometry.provided_bytes)
        header = luks2.create(
            encryption,
            volume_key,
            keys,
            uuid=identity.uuid,
            label=str(identity.volume_id),
            subsystem=SPARSE,
            tokens=[_token(extents)],
            randomness=os.urandom,
        )
        write(0, header)
        _write_integrity(geometry, journal, write)
        _encrypt_all(payload, extents, plain.fileno(), _in_turn(target.fileno()))


def written_zones(filesystem: int, size: int) -> tuple[Extent, ...]:
    """What a sparse volume has to have written: extents of blocks of 4096, within `size` bytes.

    `filesystem` is a descriptor of the file with the XFS. Its own extents come from the
    file's holes; not the log's: mkfs.xfs makes it with unwritten extents, which may be
    shown as a hole. Raises BadXfs, TooFragmented.
    """
    xfs = XfsSuperblock.unpack(os.pread(filesystem, XFS_SUPERBLOCK_BYTES, 0))
    rows = [Extent(low, high - low) for low, high in data_ranges(filesystem, 0, size)]
    rows += [Extent(*xfs.log_extent()), Extent(0, HEAD_BYTES)]
    rows += [Extent(max(0, size - TAIL_BYTES), TAIL_BYTES)]
    rows += [Extent(start, min(GROUP_BYTES, size - start)) for start in xfs.group_starts()]
    longer = united([Extent(e.start, e.length + CLOSE) for e in rows], BLOCK, size + CLOSE)
    zones = tuple(Extent(e.start, e.length - CLOSE) for e in longer)
    if len(zones) > MOST_EXTENTS:
        raise TooFragmented(
            f"the file system has {len(zones)} written extents, a sparse volume can name "
            f"{MOST_EXTENTS}",
            hint='use luks_fill="full"',
        )
    return zones


def _token(extents: Sequence[Extent]) -> Token:
    return written_token(0, [(e.start // BLOCK, e.length // BLOCK) for e in extents])


def _write_integrity(geometry: Geometry, journal: Journal, write: WriteAt) -> None:
    """The superblock, and the journal unless that is left to the kernel.

    FLAG_DIRTY_BITMAP makes the kernel write a whole new journal when it opens the volume.
    """
    start = geometry.segment * SECTOR
    deferred = journal == "deferred"
    flags = FLAG_FIXED_PADDING | (FLAG_DIRTY_BITMAP if deferred else 0)
    write(start, geometry.superblock(flags=flags).pack())
    if deferred:
        return
    section_bytes = geometry.section_sectors * SECTOR
    for number in range(geometry.journal_sections):
        at = start + SUPERBLOCK_BYTES + number * section_bytes
        write(at, fresh_section(geometry, number))


def _encrypt_all(payload: Payload, extents: Sequence[Extent], plain: int, write: WriteAt) -> None:
    def read(offset: int, length: int) -> bytes:
        data = os.pread(plain, length, offset)
        if len(data) != length:
            raise KiwiliteError(f"the file system ends before byte {offset + length}")
        return data

    def encrypt_row(row: tuple[Extent, ...]) -> None:
        encrypt(payload, row, read, write, os.urandom)

    run_all(encrypt_row, by_area(payload, extents))


def _in_turn(descriptor: int) -> Callable[[int, Buffer], None]:
    """A writer for processes that share the file.

    The kernel writes for one of them at a time and has the others spin; for this lock they
    sleep. It belongs to the process, so it goes with one that is killed.
    """
    write = _writer(descriptor)

    def write_alone(offset: int, data: Buffer) -> None:
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        try:
            write(offset, data)
        finally:
            fcntl.lockf(descriptor, fcntl.LOCK_UN)

    return write_alone


def _writer(descriptor: int) -> Callable[[int, Buffer], None]:
    def write(offset: int, data: Buffer) -> None:
        rest = memoryview(data)
        while rest:
            done = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[done:], offset + done

    return write
