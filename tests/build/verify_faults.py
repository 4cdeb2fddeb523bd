"""Faults to put into a built image: where each byte stands is found without `inspect`.

Partitions as sfdisk reads them, the UKI's bytes by searching the disk for the file that
the build left, sections by pefile; offsets within structures are those of their formats.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import opened_image
import pefile

from kiwilite.ondisk import integrity
from kiwilite.ondisk.encryption import encryption

SECTOR = 512
SEGMENT = 16 << 20
PART = 64 * 1024
"""What the seal tells apart."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Bytes that get other values at `offset` of the disk.

    A finding must name `part`, take in the offset, and be no longer than `span` bytes.
    """

    name: str
    part: str
    offset: int
    span: int
    content: bytes | None = None
    """None flips the lowest bit of the byte."""

    def damage(self, raw: Path) -> bytes:
        """Do it; what stood there before."""
        with raw.open("r+b") as disk:
            disk.seek(self.offset)
            before = disk.read(len(self.content or b"."))
            disk.seek(self.offset)
            disk.write(self.content or bytes([before[0] ^ 1]))
        assert before != self.content
        return before

    def undo(self, raw: Path, before: bytes) -> None:
        """Put back what stood there."""
        with raw.open("r+b") as disk:
            disk.seek(self.offset)
            disk.write(before)


@dataclass(frozen=True, slots=True)
class Built:
    """A built image and its files."""

    raw: Path
    uki: bytes

    @classmethod
    def at(cls, target: Path) -> Built:
        """What a build left in `target`."""
        files = json.loads((target / "kiwilite.result.json").read_text())["files"]
        return cls(target / files["raw"], (target / files["efi"]).read_bytes())

    def start(self, name: str) -> int:
        """The first byte of a partition."""
        return opened_image.partition(self.raw, name)[0]

    def end(self, name: str) -> int:
        """The first byte behind a partition."""
        start, size = opened_image.partition(self.raw, name)
        return start + size

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of the disk."""
        with self.raw.open("rb") as disk:
            disk.seek(offset)
            return disk.read(size)

    def where(self, content: bytes, part: str) -> int:
        """Where these bytes stand in a partition, for the first time."""
        start, size = opened_image.partition(self.raw, part)
        at = self.read(start, size).find(content)
        assert at >= 0
        return start + at


def tables(built: Built) -> Iterator[Fault]:
    """GPT and MBR."""
    size = built.raw.stat().st_size
    yield Fault("primary header", "primary GPT", SECTOR + 40, SECTOR)
    yield Fault("primary header's CRC", "primary GPT", SECTOR + 16, SECTOR)
    yield Fault("primary header's own LBA", "primary GPT", SECTOR + 24, SECTOR)
    yield Fault("primary entries", "primary GPT", 2 * SECTOR + 128 + 32, SECTOR)
    yield Fault("rest of the header's sector", "primary GPT", SECTOR + 400, SECTOR)
    yield Fault("backup header", "backup GPT", size - SECTOR + 56, SECTOR)
    yield Fault("backup header's signature", "backup GPT", size - SECTOR, SECTOR)
    yield Fault("backup entries", "backup GPT", size - 33 * SECTOR + 3, SECTOR)
    yield Fault("boot code", "MBR", 17, 446)
    yield Fault("a hybrid entry's first LBA", "MBR", 446 + 16 + 8, 66)
    yield Fault("a hybrid entry's type", "MBR", 446 + 16 + 4, 66)
    yield Fault("a hybrid entry's cylinders", "MBR", 446 + 16 + 3, 66)
    yield Fault("the guarding entry's length", "MBR", 446 + 12, 66)
    yield Fault("the boot record's magic", "MBR", 510, 66)
    yield Fault("between table and partitions", "gap", 300_000, SECTOR)
    yield Fault("the seal", "seal", 512 * 1024 + 77, 384 * 1024)
    core = built.start("p.legacy")
    yield Fault("GRUB's core image", "p.legacy", core + 20_000, PART)


def verified(built: Built) -> Iterator[Fault]:
    """squashfs, hash tree, metadata."""
    start, end = built.start("p.lxreadonly"), built.end("p.lxreadonly")
    used = struct.unpack("<Q", built.read(start + 40, 8))[0]
    hashes = start + -(-used // 4096) * 4096
    assert built.read(hashes, 8) == b"verity\0\0"
    yield Fault("squashfs superblock", "p.lxreadonly", start + 8, 4096)
    yield Fault("squashfs data", "p.lxreadonly", start + 50 * 4096 + 1234, 4096)
    yield Fault("squashfs, last block", "p.lxreadonly", hashes - 4096 + 5, 4096)
    yield Fault("verity superblock's salt", "p.lxreadonly", hashes + 100, PART)
    yield Fault("verity superblock's UUID", "p.lxreadonly", hashes + 20, 4 * PART)
    yield Fault("verity superblock's data blocks", "p.lxreadonly", hashes + 72, PART)
    yield Fault("padding of the superblock", "p.lxreadonly", hashes + 3000, 4096)
    yield Fault("top of the hash tree", "p.lxreadonly", hashes + 4096 + 1, 4096)
    yield Fault("leaf of the hash tree", "p.lxreadonly", hashes + 6 * 4096 + 64, 4096)
    yield Fault("metadata block", "p.lxreadonly", end - 4096 + 60, 4096)
    first, second = start + 60 * 4096, start + 61 * 4096
    swapped = built.read(second, 4096) + built.read(first, 4096)
    yield Fault("swapped squashfs blocks", "p.lxreadonly", first, 2 * 4096, swapped)
    yield Fault("another squashfs' data", "loaded", built.start("loaded") + 70, 4096)


def boot_partition(built: Built) -> Iterator[Fault]:
    """FAT and UKI."""
    part, length = "p.UEFI", len(built.uki)
    start = built.start(part)
    boot = built.read(start, 512)
    reserved = int.from_bytes(boot[14:16], "little") * 512
    fat = int.from_bytes(boot[22:24] if any(boot[22:24]) else boot[36:40], "little") * 512
    file = built.where(built.uki[:4096], part)
    parsed = pefile.PE(data=built.uki, fast_load=True)
    sections = {s.Name.rstrip(b"\0").decode(): s.PointerToRawData for s in parsed.sections}
    yield Fault("FAT boot sector", part, start + 14, start)
    yield Fault("boot code of the FAT", part, start + 200, PART)
    yield Fault("first FAT", part, start + reserved + 400, 8)
    yield Fault("second FAT", part, start + reserved + fat + 1000, 8)
    folder = built.where(b"EFI        ", part)
    yield Fault("a folder's first cluster", part, folder + 26, PART)
    long_name = built.where("tiny".encode("utf-16-le"), part)
    yield Fault("a long file name", part, long_name, PART)
    yield Fault("UKI, .linux", part, file + sections[".linux"] + 123_456, length)
    yield Fault("UKI, .initrd", part, file + sections[".initrd"] + 3_000_000, length)
    yield Fault("UKI, PE header", part, file + parsed.DOS_HEADER.e_lfanew + 8, length)
    yield Fault("UKI, CheckSum", part, file + parsed.DOS_HEADER.e_lfanew + 24 + 64, length)
    line = built.uki[sections[".cmdline"] :].split(b"\0", 1)[0]
    at = sections[".cmdline"] + line.index(b"roothash=") + 9
    other = b"%064x" % 1
    yield Fault("command line against the policy", part, file + at, len(line), other)
    policy = built.uki.index(b"\nverity ")
    yield Fault("policy", part, file + policy + 2, length)
    loader = built.where(b"timeout 0", part)
    yield Fault("boot loader's configuration", part, loader + 8, PART)
    # The BIOS copy is the other place with the kernel's bytes.
    whole = built.read(start, built.end(part) - start)
    kernel = built.uki[sections[".linux"] :][:8192]
    places = [start + whole.find(kernel), start + whole.rfind(kernel)]
    bios = next(p for p in places if p != file + sections[".linux"])
    yield Fault("the kernel for a BIOS", part, bios + 5000, length)
    menu = built.where(b"'roothash=", part)
    yield Fault("a word of the menu for a BIOS", part, menu + 3, 4096)
    free = start + len(whole) - 2000
    yield Fault("free cluster", part, free, 4096)


def volume(built: Built) -> Iterator[Fault]:
    """LUKS2 and what is in it."""
    part = "p.lxroot"
    start, size = opened_image.partition(built.raw, part)
    chosen = encryption("aes-xts-plain64", "hmac-sha256", 4096)
    superblock = integrity.IntegritySuperblock.unpack(built.read(start + SEGMENT, 4096))
    shape = integrity.geometry_of(superblock, segment_offset=SEGMENT)
    assert superblock.tag_bytes == chosen.tag_bytes
    data = start + shape.data_sector(64) * SECTOR
    tag = start + shape.tag_byte(64)
    yield Fault("LUKS2 primary header", part, start + 30, 16384)
    yield Fault("LUKS2 primary magic", part, start, 16384)
    yield Fault("LUKS2 primary JSON", part, start + 4096 + 40, 16384)
    yield Fault("LUKS2 secondary header", part, start + 16384 + 170, 16384)
    yield Fault("LUKS2 secondary JSON", part, start + 16384 + 4096 + 200, 16384)
    yield Fault("keyslot", part, start + 32768 + 100_000, SEGMENT)
    yield Fault("integrity superblock", part, start + SEGMENT + 16, 4096)
    yield Fault("integrity superblock's flags", part, start + SEGMENT + 24, 4096)
    yield Fault("integrity journal, commit id", part, start + SEGMENT + 4096 + 504, 512)
    yield Fault("integrity journal, entry", part, start + SEGMENT + 4096 + 8, PART)
    yield Fault("ciphertext", part, data + 77, 4096)
    yield Fault("tag", part, tag + 3, 32)
    second = start + shape.data_sector(72) * SECTOR
    swapped = built.read(second, 4096) + built.read(data, 4096)
    assert second == data + 4096
    yield Fault("swapped ciphertext", part, data, 8192, swapped)
    yield Fault("behind the volume", part, start + size - 40, 4096)


def file_systems(built: Built) -> Iterator[Fault]:
    """ext4."""
    start = built.start("home")
    yield Fault("ext4 superblock", "home", start + 1024 + 4, PART)
    yield Fault("ext4 free block", "home", start + (40 << 20), 4096)


def faults(built: Built) -> tuple[Fault, ...]:
    """All of them."""
    groups = (tables, verified, boot_partition, volume, file_systems)
    return tuple(fault for group in groups for fault in group(built))
