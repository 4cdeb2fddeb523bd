"""PE sections on a made-up stub, against pefile and objdump; and on broken input.

The real EFI stubs are in tests/unit/boot.
"""

from __future__ import annotations

import re
import struct
import subprocess
from pathlib import Path

import pefile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk import pe
from kiwilite.ondisk.pe import BadPe, NoSectionSlot, Section

ALIGN = 0x200


def stub(*, slots: int = 4, symbols: bytes = b"", section_alignment: int = 0x1000) -> bytes:
    """A 64-bit EFI image with one section of 10 bytes, and room for `slots` others."""
    header_size = 64 + 4 + 20 + 240 + 40
    headers = -(-(header_size + 40 * slots) // ALIGN) * ALIGN
    # Fill up what rounding left, so that exactly `slots` are free.
    lfanew = 64 + (headers - header_size - 40 * slots) // 8 * 8
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", lfanew)
    symbol_table = headers + ALIGN if symbols else 0
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, symbol_table, 1 if symbols else 0, 240, 0x206)
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII",
        *(0x20B, 0, 0, 0x200, 0x200, 0, 0x1000, 0x1000, 0x140000000, section_alignment, ALIGN),
        *(0, 0, 0, 0, 0, 0, 0, 0x2000, headers, 0xDEAD, 10, 0x160, 0, 0, 0, 0, 0, 16),
    ).ljust(240, b"\0")
    table = struct.pack("<8sIIII12sI", b".text", 10, 0x1000, ALIGN, headers, bytes(12), 0x60000020)
    raw = dos.ljust(lfanew, b"\0") + b"PE\0\0" + coff + optional + table
    return raw.ljust(headers, b"\0") + b"0123456789".ljust(ALIGN, b"\xcc") + symbols


ADDED = (
    Section(".osrel", b"ID=x\n"),
    Section(".linux", bytes(range(256)) * 40, pe.CODE),
    Section(".empty", b""),
    Section(".last", b"z" * 0x200),
)


def test_the_made_up_stub_has_the_slots_it_should_have() -> None:
    assert pe.free_slots(stub(slots=4)).count == 4
    assert pe.free_slots(stub(slots=0)).count == 0


def test_sections_come_back_with_their_exact_content() -> None:
    image = pe.append(stub(), ADDED)
    assert pe.sections(image) == (Section(".text", b"0123456789", 0x60000020), *ADDED)


def test_pefile_sees_a_consistent_image() -> None:
    parsed = pefile.PE(data=pe.append(stub(), ADDED))
    assert parsed.get_warnings() == []
    assert parsed.OPTIONAL_HEADER.CheckSum == 0
    end = 0
    for section in parsed.sections:
        assert section.VirtualAddress % 0x1000 == 0
        assert section.VirtualAddress >= end
        assert section.PointerToRawData % ALIGN == 0
        assert section.SizeOfRawData % ALIGN == 0
        end = section.VirtualAddress + section.Misc_VirtualSize
    assert parsed.OPTIONAL_HEADER.SizeOfImage == -(-end // 0x1000) * 0x1000
    added = sum(len(s.data) for s in ADDED)
    assert parsed.OPTIONAL_HEADER.SizeOfInitializedData == 0x200 + added


def test_objdump_reads_the_same_sections(tmp_path: Path) -> None:
    path = tmp_path / "image.efi"
    path.write_bytes(pe.append(stub(), ADDED))
    shown = subprocess.run(
        ["objdump", "-h", path], check=True, capture_output=True, text=True
    ).stdout
    sizes = {m[1]: int(m[2], 16) for m in re.finditer(r"^ +\d+ (\S+) +([0-9a-f]{8})", shown, re.M)}
    assert sizes == {".text": 10} | {s.name: len(s.data) for s in ADDED}


def test_payload_starts_at_pages_even_if_the_stub_is_packed_tighter() -> None:
    parsed = pefile.PE(data=pe.append(stub(section_alignment=ALIGN), ADDED), fast_load=True)
    assert all(s.VirtualAddress % 4096 == 0 for s in parsed.sections)


def test_a_symbol_table_at_the_end_is_cut_off() -> None:
    with_symbols = stub(symbols=bytes(18) + struct.pack("<I", 8) + b"abc\0")
    image = pe.append(with_symbols, ADDED)
    parsed = pefile.PE(data=image, fast_load=True)
    assert parsed.FILE_HEADER.PointerToSymbolTable == 0
    assert parsed.FILE_HEADER.NumberOfSymbols == 0
    assert parsed.FILE_HEADER.Characteristics & 8
    assert pe.sections(image)[1:] == ADDED


def test_a_full_header_is_said_clearly() -> None:
    assert pe.append(stub(slots=4), ADDED)
    with pytest.raises(NoSectionSlot, match=r"4 sections to add.*room for 3"):
        pe.append(stub(slots=3), ADDED)


def test_dll_characteristics_are_cleared_as_asked() -> None:
    assert pe.dll_characteristics(pe.append(stub(), ADDED)) == 0x160
    image = pe.append(stub(), ADDED, clear_dll_characteristics=pe.DLL_NX_COMPAT)
    assert pe.dll_characteristics(image) == 0x060


def test_sections_can_be_appended_in_two_steps() -> None:
    assert pe.append(pe.append(stub(), ADDED[:2]), ADDED[2:]) == pe.append(stub(), ADDED)


def test_a_stub_that_is_signed_or_carries_something_is_refused() -> None:
    signed = bytearray(stub())
    at = struct.unpack_from("<I", signed, 60)[0] + 24 + 112 + 4 * 8
    signed[at : at + 8] = struct.pack("<II", len(signed), 8)
    with pytest.raises(BadPe, match="signed"):
        pe.append(bytes(signed), ADDED)
    with pytest.raises(BadPe, match="behind its sections"):
        pe.append(stub() + b"overlay", ADDED)
    with pytest.raises(BadPe, match="symbol table"):
        pe.append(stub(symbols=bytes(18) + struct.pack("<I", 8) + b"abc\0" + b"more data"), ADDED)


@pytest.mark.parametrize("name", ["", ".toolong1", ".ü"])
def test_a_name_that_does_not_fit_is_refused(name: str) -> None:
    with pytest.raises(BadPe, match="section name"):
        pe.append(stub(), [Section(name, b"")])


def test_a_section_that_claims_more_than_the_file_has_is_refused() -> None:
    with pytest.raises(BadPe, match="beyond the end"):
        pe.sections(pe.append(stub(), ADDED)[:-1])


SAMPLE = pe.append(stub(), ADDED)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 0x400), st.binary(min_size=1, max_size=8)), max_size=5),
    st.integers(0, len(SAMPLE)) | st.just(len(SAMPLE)),
)
def test_nothing_but_bad_pe_comes_out_of_a_broken_image(
    edits: list[tuple[int, bytes]], end: int
) -> None:
    raw = bytearray(SAMPLE)
    for at, data in edits:
        raw[at : at + len(data)] = data
    broken = bytes(raw[:end])
    for use in (pe.sections, _append_one):
        try:
            use(broken)
        except BadPe as error:
            assert error.message


def _append_one(raw: bytes) -> bytes:
    return pe.append(raw, ADDED[:1])


@settings(deadline=None)
@given(st.sampled_from((b"", b"MZ", SAMPLE[:64], SAMPLE[:90])), st.binary(max_size=300))
def test_nothing_but_bad_pe_comes_out_of_noise(start: bytes, noise: bytes) -> None:
    with pytest.raises(BadPe):
        pe.sections(start + noise)
