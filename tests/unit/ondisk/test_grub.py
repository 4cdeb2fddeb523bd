"""GRUB's two numbers: where the boot code finds the core image, and that its own rest."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.ondisk import grub, mbr
from kiwilite.ondisk.grub import BadGrub

MOST_SECTORS = 4096


def fresh_boot_image() -> bytes:
    """The fields of a boot.img as GRUB builds it; the code between them does not matter here."""
    image = bytearray(b"\xcc" * 512)
    image[:3] = b"\xeb\x63\x90"
    image[0x5A:0x5C] = b"\x00\x80"
    image[0x5C:0x64] = struct.pack("<Q", 1)
    image[0x64] = 0xFF
    image[0x66:0x68] = b"\xeb\x05"
    image[0x180:0x185] = b"GRUB "
    image[0x1B8:] = bytes(0x48)
    return bytes(image)


def fresh_core_image(size: int) -> bytes:
    """A core image of `size` bytes, with the block list that grub-mkimage gives it."""
    image = bytearray(b"\xdd" * size)
    image[0x1F4:0x200] = struct.pack("<QHH", 2, -(-size // 512) - 1, 0x820)
    return bytes(image)


@given(
    st.integers(34, 2**33), st.integers(513, 512 * MOST_SECTORS).map(lambda n: (n, -(-n // 512)))
)
def test_boot_code_leads_to_the_core_image_and_that_to_its_end(
    lba: int, size: tuple[int, int]
) -> None:
    byte_count, sectors = size
    core = fresh_core_image(byte_count)
    installed = grub.install(fresh_boot_image(), core, core_lba=lba, room=sectors * 512)
    assert grub.find_core(installed.boot_code) == lba
    assert grub.core_size(installed.core, lba) == len(installed.core) == sectors * 512
    assert installed.core[512:byte_count] == core[512:]


def test_the_patched_bytes_are_these_and_no_others() -> None:
    boot, core = fresh_boot_image(), fresh_core_image(5000)
    installed = grub.install(boot, core, core_lba=0x123456789A, room=1 << 20)
    changed = [n for n in range(440) if installed.boot_code[n] != boot[n]]
    assert changed == [0x5C, 0x5D, 0x5E, 0x5F, 0x60, 0x66, 0x67]
    assert installed.boot_code[0x5C:0x64] == bytes.fromhex("9a78563412000000")
    assert installed.boot_code[0x66:0x68] == b"\x90\x90"
    assert installed.core[0x1F4:0x200] == struct.pack("<QHH", 0x123456789B, 9, 0x820)
    assert installed.core[:0x1F4] == core[:0x1F4]


def test_the_boot_code_leaves_the_disk_its_signature_and_entries() -> None:
    installed = grub.install(fresh_boot_image(), fresh_core_image(1024), core_lba=34, room=1024)
    record = mbr.hybrid(
        [mbr.MbrEntry(0xEF, 2048, 8)], disk_signature=7, boot_code=installed.boot_code
    )
    raw = record.pack()
    assert raw[:440] == installed.boot_code
    assert mbr.Mbr.unpack(raw).entries == record.entries
    assert grub.find_core(raw) == 34


def change(image: bytes, at: int, to: bytes) -> bytes:
    return image[:at] + to + image[at + len(to) :]


@pytest.mark.parametrize(
    ("boot", "core", "field"),
    [
        (fresh_boot_image()[:-1], fresh_core_image(2000), "boot image"),
        (bytes(512), fresh_core_image(2000), "boot code"),
        (change(fresh_boot_image(), 0x5C, b"\x02"), fresh_core_image(2000), "LBA"),
        (change(fresh_boot_image(), 0x64, b"\x80"), fresh_core_image(2000), "drive"),
        (change(fresh_boot_image(), 0x66, b"\x90\x90"), fresh_core_image(2000), "drive"),
        (fresh_boot_image(), b"short", "core image"),
        (fresh_boot_image(), change(fresh_core_image(2000), 0x1F4, b"\x03"), "block list"),
        (fresh_boot_image(), fresh_core_image(2000) + bytes(600), "block list"),
        (fresh_boot_image(), change(fresh_core_image(2000), 0x1FE, b"\0\0"), "block list"),
        (fresh_boot_image(), fresh_core_image((1 << 20) + 1), "core image"),
    ],
)
def test_images_of_another_form_are_refused_by_name(boot: bytes, core: bytes, field: str) -> None:
    with pytest.raises(BadGrub) as caught:
        grub.install(boot, core, core_lba=2048, room=1 << 20)
    assert field in caught.value.field


def test_a_core_image_that_was_moved_is_noticed() -> None:
    installed = grub.install(fresh_boot_image(), fresh_core_image(2000), core_lba=2048, room=4096)
    with pytest.raises(BadGrub):
        grub.core_size(installed.core, 4096)


@given(st.binary(max_size=600))
def test_nothing_but_bad_grub_comes_out_of_noise(noise: bytes) -> None:
    for reader in (grub.find_core, lambda raw: grub.core_size(raw, 1)):
        with pytest.raises(BadGrub):
            reader(noise)
