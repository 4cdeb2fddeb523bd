"""GRUB for a BIOS: boot code in the MBR, core image in a partition, and how one finds the other.

`boot.img` is the first sector of the disk. It reads one sector, `diskboot.img`, which is
the first of the core image and reads the rest of it. Both know where to look by numbers
that an installer writes into them; nothing here reads a file system. GRUB counts sectors
of 512 bytes, as the BIOS does.

boot.img, 512 bytes:

    0x000   3  jump behind the parameter block
    0x003  87  room for the BIOS parameter block of a floppy disk; zero on other disks
    0x05a   2  segment for the sector that is read, 0x8000 (what the jump skips)
    0x05c   8  LBA of the core image's first sector, little-endian; 1 as it is built
    0x064   1  drive to read, 0xff: the one the BIOS has started
    0x066   2  jump over the check of the drive's number (EB 05); two NOPs (90 90) let
               the check run, which helps with BIOSes that pass no number of a hard disk
    0x1b8  72  disk signature and partition entries: the disk's own, not boot.img's

Core image; its first sector is diskboot.img, with one record of a block list at its end:

    0x1f4   8  LBA of the core image's second sector, little-endian; 2 as it is built
    0x1fc   2  number of sectors from there
    0x1fe   2  segment they are read to, 0x0820

Source: GRUB's include/grub/i386/pc/boot.h and include/grub/offsets.h (the numbers'
places), compared with the files of GRUB 2.06 and 2.12.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from kiwilite.errors import KiwiliteError

SECTOR: Final = 512
BOOT_CODE_SIZE: Final = 440

FOLDER: Final = "kiwilite"
"""The folder of the EFI system partition that belongs to the BIOS boot."""
LINUX_FILE: Final = f"{FOLDER}/linux"
INITRD_FILE: Final = f"{FOLDER}/initrd"
MENU_FILE: Final = f"{FOLDER}/grub.cfg"

_JUMP: Final = b"\xeb"
_NAME_IN_BOOT: Final = b"GRUB "
_CORE_LBA: Final = 0x5C
_BOOT_DRIVE: Final = 0x64
_DRIVE_CHECK: Final = 0x66
_CHECK_SKIPPED: Final = b"\xeb\x05"
_CHECK_DONE: Final = b"\x90\x90"
_U64: Final = struct.Struct("<Q")
_BLOCK_LIST: Final = struct.Struct("<QHH")
_BLOCK_LIST_AT: Final = SECTOR - _BLOCK_LIST.size
_SEGMENT: Final = 0x0820
_BUILT_CORE_LBA: Final = 1
_BUILT_REST_LBA: Final = 2


class BadGrub(KiwiliteError):
    """Boot code or core image are not GRUB's, or not as known; `field` says what."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"GRUB {field}: {message}")
        self.field = field


@dataclass(frozen=True, slots=True)
class Installed:
    """What goes onto the disk: `boot_code` (440 bytes) into the MBR, `core` at its LBA."""

    boot_code: bytes
    core: bytes
    """A whole number of sectors."""


def install(boot_image: bytes, core_image: bytes, *, core_lba: int, room: int) -> Installed:
    """Tell both images of a GRUB build where the core image lies.

    `core_lba` counts sectors of 512 bytes from the start of the disk; `room` is the size
    of the place for the core image in bytes. Raises BadGrub where an image is not as GRUB
    builds it, or the core image is too large.
    """
    _check_boot_image(boot_image)
    core = bytearray(core_image.ljust(-(-len(core_image) // SECTOR) * SECTOR, b"\0"))
    if len(core) > room:
        raise BadGrub("core image", f"has {len(core)} bytes, there is room for {room}")
    if _rest_of(core) != (_BUILT_REST_LBA, len(core) // SECTOR - 1):
        raise BadGrub("core image, block list", "is not that of a fresh core image")
    _BLOCK_LIST.pack_into(core, _BLOCK_LIST_AT, core_lba + 1, len(core) // SECTOR - 1, _SEGMENT)
    boot = bytearray(boot_image[:BOOT_CODE_SIZE])
    _U64.pack_into(boot, _CORE_LBA, core_lba)
    boot[_DRIVE_CHECK : _DRIVE_CHECK + 2] = _CHECK_DONE
    return Installed(bytes(boot), bytes(core))


def _check_boot_image(image: bytes) -> None:
    if len(image) != SECTOR:
        raise BadGrub("boot image", f"has {len(image)} bytes, not {SECTOR}")
    if find_core(image) != _BUILT_CORE_LBA:
        raise BadGrub("boot image, LBA of the core image", "is not that of a fresh boot image")
    if image[_BOOT_DRIVE] != 0xFF or image[_DRIVE_CHECK : _DRIVE_CHECK + 2] != _CHECK_SKIPPED:
        raise BadGrub("boot image, drive", "is not where it was up to GRUB 2.12")


def is_grub(boot_code: bytes) -> bool:
    """Whether the boot code of an MBR (440 bytes or more) is GRUB's."""
    code = boot_code[:BOOT_CODE_SIZE]
    return code.startswith(_JUMP) and _NAME_IN_BOOT in code


def find_core(boot_code: bytes) -> int:
    """LBA (of 512 bytes) of the core image that the boot code of an MBR reads.

    Raises BadGrub for boot code that is not GRUB's.
    """
    if not is_grub(boot_code) or len(boot_code) < _DRIVE_CHECK + 2:
        raise BadGrub("boot code", "is not GRUB's")
    found: int = _U64.unpack_from(boot_code, _CORE_LBA)[0]
    return found


def core_size(core: bytes, core_lba: int) -> int:
    """Bytes of the installed core image that begins with `core` and lies at `core_lba`.

    Raises BadGrub where its first sector reads something other than what follows it.
    """
    lba, sectors = _rest_of(core)
    if lba != core_lba + 1:
        raise BadGrub("core image, block list", f"goes on at LBA {lba}, not {core_lba + 1}")
    return (1 + sectors) * SECTOR


def _rest_of(core: bytes | bytearray) -> tuple[int, int]:
    """LBA and number of sectors of what the first sector reads."""
    if len(core) < SECTOR:
        raise BadGrub("core image", "ends within its first sector")
    lba, sectors, segment = _BLOCK_LIST.unpack_from(core, _BLOCK_LIST_AT)
    if segment != _SEGMENT or sectors == 0:
        raise BadGrub("core image, block list", "is not that of a core image")
    return lba, sectors
