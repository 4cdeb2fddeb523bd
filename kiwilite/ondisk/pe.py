"""PE/COFF images: read sections exactly, append sections to an EFI stub.

What is changed when sections are appended (offsets within the PE header, which
starts where the 4 bytes at 0x3c say, and within the 64-bit optional header at +24):

    PE +6   2  NumberOfSections            opt +60 4  SizeOfHeaders
    PE +8   ..  PointerToSymbolTable and    opt +56 4  SizeOfImage
               NumberOfSymbols (4 + 4)     opt +64 4  CheckSum; firmware ignores it
    PE +22  2  Characteristics             opt +70 2  DllCharacteristics
    opt +8  4  SizeOfInitializedData

Section header, 40 bytes, in a table behind the optional header:

     0 8  name, NUL-padded                 20 4  PointerToRawData, file offset
     8 4  VirtualSize, bytes of content    24 12 zero
    12 4  VirtualAddress, from ImageBase   36 4  Characteristics
    16 4  SizeOfRawData, in the file

Source: Microsoft PE Format. Parsing is done by pefile, which cannot append.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiwilite.errors import KiwiliteError

CODE: Final = 0x40000020
"""Section characteristics: code, readable."""
INITIALIZED_DATA: Final = 0x40000040
"""Section characteristics: initialised data, readable."""
DLL_NX_COMPAT: Final = 0x0100
"""DllCharacteristics: the image runs with data pages not executable."""

_SECTION: Final = struct.Struct("<8sIIII12sI")
_LOCAL_SYMS_STRIPPED: Final = 0x0008
_SYMBOL_SIZE: Final = 18
_SECURITY_DIRECTORY: Final = 4
# Addresses within an image are 32-bit, and loaders take them as signed here and there.
_MAX_IMAGE: Final = 1 << 31
# A stub with SectionAlignment 512 gets its payload at page boundaries nevertheless.
_PAGE: Final = 4096
# Headers stand at the front; pefile need not see the payload.
_HEADER_BYTES: Final = 1 << 16
# An even number, for the checksum: as much as fits into a processor's cache.
_ROW: Final = 1 << 16
# What all sections may be longer in memory than in the file before we call that broken.
_MAX_ZERO_FILL: Final = 1 << 24


class BadPe(KiwiliteError):
    """Not a PE image, or not one that we can change."""


class NoSectionSlot(BadPe):
    """The header has no room for so many sections."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section's name (at most 8 ASCII characters) and its exact content (VirtualSize)."""

    name: str
    data: bytes
    characteristics: int = INITIALIZED_DATA


@dataclass(frozen=True, slots=True)
class FreeSlots:
    """Room for section headers: how many, and the file offset of the first."""

    count: int
    offset: int


def sections(image: bytes) -> tuple[Section, ...]:
    """All sections in table order, names may repeat. Raises BadPe."""
    found: list[Section] = []
    zeros = 0
    for header in _parse(image).sections:
        size = header.Misc_VirtualSize
        start = header.PointerToRawData
        content = image[start : start + min(size, header.SizeOfRawData)]
        if len(content) < min(size, header.SizeOfRawData):
            raise BadPe(f"section {_name(header)!r} goes beyond the end of the file")
        zeros += size - len(content)
        if zeros > _MAX_ZERO_FILL:
            raise BadPe(f"section {_name(header)!r} claims {size} bytes in memory")
        found.append(Section(_name(header), content.ljust(size, b"\0"), header.Characteristics))
    return tuple(found)


def dll_characteristics(image: bytes) -> int:
    """The DllCharacteristics of the optional header. Raises BadPe."""
    value = _parse(image).OPTIONAL_HEADER.DllCharacteristics
    assert isinstance(value, int)
    return value


def free_slots(image: bytes) -> FreeSlots:
    """How many sections can be appended. Raises BadPe."""
    return _free_slots(_parse(image))


def append(stub: bytes, added: Sequence[Section], *, clear_dll_characteristics: int = 0) -> bytes:
    """`stub` with sections appended, in the given order and mapped behind all others.

    A COFF symbol table at the end of the stub is cut off: no image file should have
    one, and signing tools stumble over it. Bits in `clear_dll_characteristics` are
    taken out of the header. Raises NoSectionSlot if the header is full, BadPe if the
    stub is signed, carries data behind its sections, or a section's name is too long.
    """
    pe = _parse(stub)
    body = stub[: _end_of_contents(pe, stub)]
    slots = _free_slots(pe)
    if len(added) > slots.count:
        raise NoSectionSlot(
            f"{len(added)} sections to add, the stub's header has room for {slots.count}",
            hint="fewer boot profiles, or a stub with larger headers (systemd 257 and later)",
        )
    last = pe.sections[-1]
    address = last.VirtualAddress + last.Misc_VirtualSize
    alignment = pe.OPTIONAL_HEADER.SectionAlignment
    file_alignment = pe.OPTIONAL_HEADER.FileAlignment
    table = bytearray()
    parts = [body.ljust(_align(len(body), file_alignment), b"\0")]
    pointer = len(parts[0])
    for section in added:
        address = _align(address, max(alignment, _PAGE))
        size = _align(len(section.data), file_alignment)
        if max(address + len(section.data) + alignment, pointer + size) > _MAX_IMAGE:
            raise BadPe("the image would reach beyond 2 GiB")
        table += _pack_header(section, address, pointer, size)
        parts += [section.data, bytes(size - len(section.data))]
        address += len(section.data)
        pointer += size
    _update_headers(pe, added, _align(address, alignment), clear_dll_characteristics)
    headers = bytes(pe.write()[: slots.offset]) + bytes(table)
    return b"".join((headers, parts[0][len(headers) :], *parts[1:]))


def checksum(image: bytes) -> int:
    """What CheckSum should say: the 16-bit words, its own left out, added up with
    end-around carry, plus the length in bytes. Raises BadPe.

    Such a sum is the number that the bytes make, little-endian, modulo 65535, and so is the
    sum of the numbers that rows of an even length make. Long integers have that in an
    instant. One flipped bit always changes it.
    """
    at = _checksum_offset(image)
    rows = (image[start : start + _ROW] for start in range(0, len(image), _ROW))
    words = sum(int.from_bytes(row, "little") for row in rows) - (
        int.from_bytes(image[at : at + 4], "little") << 8 * (at % 2)
    )
    # The carry never brings a sum back to zero, unless all words are.
    return (words % 0xFFFF or 0xFFFF) + len(image)


def with_checksum(image: bytes) -> bytes:
    """`image` with the CheckSum that it should have. Raises BadPe."""
    at = _checksum_offset(image)
    view = memoryview(image)
    return b"".join((view[:at], struct.pack("<I", checksum(image)), view[at + 4 :]))


def stored_checksum(image: bytes) -> int:
    """CheckSum as the header has it; 0 where nobody computed one. Raises BadPe."""
    at = _checksum_offset(image)
    return int.from_bytes(image[at : at + 4], "little")


def _checksum_offset(image: bytes) -> int:
    offset: int = _parse(image).OPTIONAL_HEADER.get_field_absolute_offset("CheckSum")
    return offset


def _align(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment


def _name(header: Any) -> str:
    raw: bytes = header.Name
    return raw.rstrip(b"\0").decode("ascii", "backslashreplace")


def _parse(image: bytes) -> Any:
    """The parsed headers (pefile has no types). Raises BadPe."""
    import pefile

    try:
        pe = pefile.PE(data=image[:_HEADER_BYTES], fast_load=True)
    except Exception as error:  # pefile lets more than its own errors out on broken input
        raise BadPe(f"not a PE image: {error}") from error
    optional = getattr(pe, "OPTIONAL_HEADER", None)
    if optional is None or optional.Magic != pefile.OPTIONAL_HEADER_MAGIC_PE_PLUS:
        raise BadPe("not a 64-bit PE image")
    alignments = (optional.SectionAlignment, optional.FileAlignment)
    if any(not 1 <= a <= 1 << 20 or a & (a - 1) for a in alignments):
        raise BadPe(f"impossible alignments {alignments}")
    if len(pe.sections) != pe.FILE_HEADER.NumberOfSections or not pe.sections:
        raise BadPe("the section table is cut off or empty")
    return pe


def _free_slots(pe: Any) -> FreeSlots:
    offset = pe.sections[-1].get_file_offset() + _SECTION.size
    # Contents start at a file alignment, so the header may grow up to there.
    room = _align(pe.OPTIONAL_HEADER.SizeOfHeaders, pe.OPTIONAL_HEADER.FileAlignment)
    contents = [s.PointerToRawData for s in pe.sections if s.SizeOfRawData]
    end = min([room, *contents])
    return FreeSlots(max(0, (end - offset) // _SECTION.size), offset)


def _end_of_contents(pe: Any, stub: bytes) -> int:
    """Where the last section's data end; checks that only symbols follow."""
    security = pe.OPTIONAL_HEADER.DATA_DIRECTORY[_SECURITY_DIRECTORY : _SECURITY_DIRECTORY + 1]
    if any(entry.VirtualAddress or entry.Size for entry in security):
        raise BadPe("the stub is signed; sections must be added before signing")
    end: int = max(s.PointerToRawData + s.SizeOfRawData for s in pe.sections)
    if end > len(stub) or end < pe.sections[-1].get_file_offset() + _SECTION.size:
        raise BadPe("the stub's sections go beyond the end of the file")
    symbols = pe.FILE_HEADER.PointerToSymbolTable
    if not symbols:
        if stub[end:].strip(b"\0"):
            raise BadPe("the stub carries data behind its sections")
        return end
    strings = symbols + _SYMBOL_SIZE * pe.FILE_HEADER.NumberOfSymbols
    size = int.from_bytes(stub[strings : strings + 4], "little")
    if symbols < end or len(stub) - (strings + size) not in range(4):
        raise BadPe("the stub's symbol table is not its last part")
    return end


def _pack_header(section: Section, address: int, pointer: int, raw_size: int) -> bytes:
    name = section.name.encode("ascii", "replace")
    if not 0 < len(name) <= 8 or not section.name.isascii():
        raise BadPe(f"{section.name!r} is no section name of 1 to 8 characters")
    return _SECTION.pack(
        name, len(section.data), address, raw_size, pointer, bytes(12), section.characteristics
    )


def _update_headers(pe: Any, added: Sequence[Section], image_size: int, clear_dll: int) -> None:
    file_header, optional = pe.FILE_HEADER, pe.OPTIONAL_HEADER
    if file_header.PointerToSymbolTable:
        file_header.PointerToSymbolTable = 0
        file_header.NumberOfSymbols = 0
        file_header.Characteristics |= _LOCAL_SYMS_STRIPPED
    file_header.NumberOfSections += len(added)
    data_size = optional.SizeOfInitializedData + sum(len(section.data) for section in added)
    if data_size > 0xFFFFFFFF:
        raise BadPe(f"impossible size {optional.SizeOfInitializedData} of initialised data")
    optional.SizeOfInitializedData = data_size
    optional.SizeOfImage = image_size
    optional.SizeOfHeaders = _align(optional.SizeOfHeaders, optional.FileAlignment)
    optional.DllCharacteristics &= ~clear_dll
    optional.CheckSum = 0
