"""CheckSum is what Microsoft's rule (and pefile) makes of an image; one flipped bit changes it."""

from __future__ import annotations

import random
import struct

import pefile
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import pe

SIZES = st.integers(0, 5000) | st.integers(3 << 16, (3 << 16) + 600)  # some rows of the sum


def image(size: int, seed: int = 1) -> bytes:
    """The least that is a 64-bit PE with one section of `size` bytes."""
    content = random.Random(seed).randbytes(size)
    optional = bytearray(240)
    struct.pack_into("<H", optional, 0, 0x20B)
    struct.pack_into("<QII", optional, 24, 0, 4096, 512)
    struct.pack_into("<II", optional, 56, 8192, 512)
    struct.pack_into("<I", optional, 108, 16)
    header = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22)
    section = struct.pack("<8sIIIIIIHHI", b".text", size, 4096, size, 512, 0, 0, 0, 0, pe.CODE)
    head = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 64)
    return (head + header + bytes(optional) + section).ljust(512, b"\0") + content


@settings(deadline=None)
@given(SIZES)
def test_it_is_what_pefile_computes(size: int) -> None:
    made = pe.with_checksum(image(size))
    parsed = pefile.PE(data=made, fast_load=True)
    assert parsed.generate_checksum() == pe.checksum(made) == pe.stored_checksum(made)


@settings(deadline=None)
@given(st.integers(0, 1200), st.integers(0, 7))
def test_one_flipped_bit_never_leaves_it_right(at: int, bit: int) -> None:
    made = bytearray(pe.with_checksum(image(689)))
    made[at] ^= 1 << bit
    try:
        stored, wanted = pe.stored_checksum(bytes(made)), pe.checksum(bytes(made))
    except pe.BadPe:
        return
    assert stored != wanted


def test_writing_it_changes_nothing_else() -> None:
    plain = image(777)
    made = pe.with_checksum(plain)
    at = 64 + 24 + 64
    assert plain[:at] + plain[at + 4 :] == made[:at] + made[at + 4 :]
    assert pe.with_checksum(made) == made
