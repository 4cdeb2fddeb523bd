"""What a partition holds, told by its first bytes: values that name it and give its sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from kiwilite.errors import KiwiliteError
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import ext4, fat, gpt, verity, xfs
from kiwilite.ondisk.sparse import any_set
from kiwilite.ondisk.squashfs.superblock import SquashfsSuperblock

MARK: Final = b"KIWILITE PROVISION "
MARK_LINE: Final = 512
MARK_BYTES: Final = 64 * 1024
LUKS_MAGIC: Final = b"LUKS\xba\xbe"
LUKS_SECOND: Final = (b"SKUL\xba\xbe", 16384)


@dataclass(frozen=True, slots=True)
class FatVolume:
    """A FAT file system."""

    volume: fat.Fat


@dataclass(frozen=True, slots=True)
class Squashfs:
    """A squashfs; what lies behind it in the partition is told by the policy."""

    superblock: SquashfsSuperblock


@dataclass(frozen=True, slots=True)
class Ext4:
    """An ext2, ext3 or ext4."""

    superblock: ext4.Ext4Superblock


@dataclass(frozen=True, slots=True)
class Xfs:
    """An XFS."""

    superblock: xfs.XfsSuperblock


@dataclass(frozen=True, slots=True)
class HashTree:
    """A hash tree in a partition of its own."""

    superblock: verity.VeritySuperblock


@dataclass(frozen=True, slots=True)
class Luks:
    """A LUKS volume; the header may be damaged, it is read where it is checked."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A partition that awaits provisioning; `volume_id` is None where the mark is damaged."""

    volume_id: UUID | None


@dataclass(frozen=True, slots=True)
class BiosBoot:
    """The core image of a boot loader."""


@dataclass(frozen=True, slots=True)
class Zeros:
    """Nothing at all."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something else, or something that is damaged; `problem` says what was seen."""

    problem: str


Content = FatVolume | Squashfs | Ext4 | Xfs | HashTree | Luks | Mark | BiosBoot | Zeros | Unknown


def content_of(disk: Disk, partition: Partition) -> Content:
    """What is in a partition."""
    head = disk.read(partition.start, min(partition.size, 1 << 16))
    try:
        known = _by_magic(disk, partition, head)
    except KiwiliteError as problem:
        return Unknown(problem.message)
    if known is not None:
        return known
    if is_zero(disk, partition.start, partition.end):
        return Zeros()
    if partition.type_guid == gpt.BIOS_BOOT:
        return BiosBoot()
    return Unknown("nothing that is known here")


def _is_luks(head: bytes) -> bool:
    magic, at = LUKS_SECOND
    return head.startswith(LUKS_MAGIC) or head[at : at + len(magic)] == magic


def _is_marked(head: bytes) -> bool:
    return any(head[at : at + len(MARK)] == MARK for at in range(0, 4 * MARK_LINE, MARK_LINE))


_MAGICS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Content]], ...]] = (
    (_is_luks, lambda _: Luks()),
    (_is_marked, lambda head: Mark(read_mark(head))),
    (
        lambda head: head[:4] == b"hsqs",
        lambda head: Squashfs(SquashfsSuperblock.unpack(head)),
    ),
    (lambda head: head[:4] == b"XFSB", lambda head: Xfs(xfs.XfsSuperblock.unpack(head))),
    (
        lambda head: head[1080:1082] == b"\x53\xef",
        lambda head: Ext4(ext4.Ext4Superblock.unpack(head[1024:2048])),
    ),
    (
        lambda head: head[:8] == b"verity\0\0",
        lambda head: HashTree(verity.VeritySuperblock.unpack(head)),
    ),
)


def _by_magic(disk: Disk, partition: Partition, head: bytes) -> Content | None:
    for fits, make in _MAGICS:
        if fits(head):
            return make(head)
    if partition.type_guid == gpt.ESP or head[510:512] == b"\x55\xaa":
        return FatVolume(fat.read(lambda at, n: disk.read(partition.start + at, n), partition.size))
    return None


def is_zero(disk: Disk, start: int, end: int) -> bool:
    """Whether these bytes of the disk are all zeros; holes are not read."""
    return first_not_zero(disk, start, end) is None


def first_not_zero(disk: Disk, start: int, end: int) -> int | None:
    """Where the first byte stands that is not zero."""
    for at, chunk in disk.chunks(start, end):
        if any_set(chunk):
            return at + len(chunk) - len(chunk.lstrip(b"\0"))
    return None


def read_mark(head: bytes) -> UUID | None:
    """The volume id of an intact provisioning mark: 64 KiB of lines that are all the same."""
    line = head[:MARK_LINE]
    if head[:MARK_BYTES] != line * (MARK_BYTES // MARK_LINE) or not line.startswith(MARK):
        return None
    try:
        volume_id = UUID(line[len(MARK) : len(MARK) + 36].decode("ascii"))
    except ValueError:
        return None
    wanted = (MARK + str(volume_id).encode()).ljust(MARK_LINE - 1) + b"\n"
    return volume_id if line == wanted else None
