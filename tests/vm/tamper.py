"""Changes single bits of a disk image, at places found from outside; shows what readers get."""

from __future__ import annotations

import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

SQUASHFS_BLOCK = 128 * 1024


def flip(disk: Path, offset: int, mask: int = 1) -> None:
    """Invert the bits `mask` of the byte at `offset`."""
    with disk.open("r+b") as file:
        (old,) = os.pread(file.fileno(), 1, offset)
        os.pwrite(file.fileno(), bytes([old ^ mask]), offset)


def squashfs_file(image: Path, path: str) -> bytes:
    """What a file in a squashfs contains; b"" where unsquashfs gives up."""
    command = ["unsquashfs", "-cat", str(image), path.lstrip("/")]
    return subprocess.run(command, capture_output=True, check=False).stdout


def byte_of_first_block(image: Path, path: str) -> int:
    """Offset of a byte well inside the compressed first block of a file in a squashfs.

    Found by trial, so that nothing is assumed about the compressor: zeros over a range
    do harm to the file exactly if the range has some of its data; halve the range.
    `image` is as it was when this returns.
    """
    original = squashfs_file(image, path)
    assert len(original) > 4 * SQUASHFS_BLOCK, f"{path} is too small"
    with image.open("r+b") as file:
        descriptor = file.fileno()
        # Superblock: the flags are at 24 (0x400: the compressor's options come first, in
        # a metadata block with a 2-byte header), the inode table's offset is at 64.
        low, flags = 96, int.from_bytes(os.pread(descriptor, 2, 24), "little")
        if flags & 0x400:
            low += 2 + (int.from_bytes(os.pread(descriptor, 2, low), "little") & 0x7FFF)
        high = int.from_bytes(os.pread(descriptor, 8, 64), "little")
        while high - low > 1:
            middle = (low + high) // 2
            saved = os.pread(descriptor, middle - low, low)
            os.pwrite(descriptor, bytes(middle - low), low)
            harmed = squashfs_file(image, path) != original
            os.pwrite(descriptor, saved, low)
            low, high = (low, middle) if harmed else (middle, high)
    # A flip near the start of the block may be in what neighbours share a hash block with.
    return low + 8192


@dataclass(frozen=True, slots=True)
class AuthenticatedVolume:
    """Where dm-crypt over dm-integrity keeps a sector of the LUKS2 volume.

    Source: the kernel's dm-integrity documentation; checked by what flips do. All
    numbers are in sectors of 512 bytes, but `tag_size` in bytes. `start` is the
    partition's place in the disk, `initial` where superblock and journal end in the
    volume's segment.
    """

    start: int
    segment: int
    initial: int
    tag_size: int
    log2_interleave: int
    log2_sectors_per_block: int

    @classmethod
    def read(cls, disk: Path, partition: int) -> AuthenticatedVolume:
        """Of the LUKS2 partition at byte `partition`, whose segment starts at 16 MiB."""
        segment = 32768
        with disk.open("rb") as file:
            superblock = os.pread(file.fileno(), 64, partition + segment * 512)
        assert superblock.startswith(b"integrt\0"), superblock
        tag_size = int.from_bytes(superblock[10:12], "little")
        sections = int.from_bytes(superblock[12:16], "little")
        block = 1 << superblock[28]
        entry = -(-(8 + 8 * block + tag_size) // 8) * 8
        section = 8 * (504 // entry) * block + 8
        return cls(
            partition // 512, segment, 8 + sections * section, tag_size, superblock[9],
            superblock[28],
        )  # fmt: skip

    @property
    def _tag_run(self) -> int:
        """Sectors of the tags of one interleave area."""
        size = self.tag_size << (self.log2_interleave - self.log2_sectors_per_block)
        return -(-size // 4096) * 8

    def _area(self, sector: int) -> tuple[int, int]:
        """Where the tags of the sector's interleave area start, and its place in the area."""
        area, inside = divmod(sector, 1 << self.log2_interleave)
        area_sectors = (1 << self.log2_interleave) + self._tag_run
        return self.start + self.segment + self.initial + area * area_sectors, inside

    def data(self, sector: int) -> int:
        """Offset in the disk of the ciphertext of the volume's sector, in bytes."""
        tags, inside = self._area(sector)
        return (tags + self._tag_run + inside) * 512

    def tag(self, sector: int) -> int:
        """Offset in the disk of the sector's tag, in bytes: 16 of the cipher, then the IV."""
        tags, inside = self._area(sector)
        return tags * 512 + (inside >> self.log2_sectors_per_block) * self.tag_size


def read_in_blocks(file: str, size: int) -> str:
    """A command that prints the checksum of each block, or why it cannot be read."""
    return (
        f"end=$((($(stat -c %s {file}) + {size - 1}) / {size})); i=0; "
        "while [ $i -lt $end ]; do "
        f"if LC_ALL=C dd if={file} bs={size} skip=$i count=1 of=/tmp/block 2>/tmp/why; "
        "then sha256sum </tmp/block; else head -n 1 /tmp/why; fi; i=$((i + 1)); done"
    )


def checksums(content: bytes, size: int) -> list[str]:
    """What `read_in_blocks` prints of unharmed `content`, line by line."""
    return [
        f"{hashlib.sha256(content[at : at + size]).hexdigest()}  -"
        for at in range(0, len(content), size)
    ]


def is_io_error(line: str) -> bool:
    """Whether a line of `read_in_blocks` tells that the block cannot be read (EIO)."""
    return line.endswith(": Input/output error")
