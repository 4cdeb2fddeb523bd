"""Read from an ELF file what its dynamic loader will look for.

Source of the format: System V ABI, "Object Files" and "Dynamic Linking"; `elf.h`.
Only what deciding "which libraries must travel with this program" needs is read;
nothing is ever executed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from kiwilite.errors import KiwiliteError

MAGIC = b"\x7fELF"

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NULL, _DT_NEEDED, _DT_STRTAB, _DT_STRSZ, _DT_RPATH, _DT_RUNPATH = 0, 1, 5, 10, 15, 29
_SHT_DYNSYM = 11
_SHN_UNDEF = 0


class BadElf(KiwiliteError):
    """The file is not an ELF file this reader understands."""


@dataclass(frozen=True, slots=True)
class ElfImage:
    """The dynamic-linking facts of one program or shared library.

    `bits` is 32 or 64, `machine` the `e_machine` number (62 x86-64, 183 AArch64).
    `needed` are sonames in file order, `search` the directories of DT_RUNPATH (or
    DT_RPATH), `$ORIGIN` not yet replaced. `undefined` are the symbols it imports.
    A static program has no interpreter and needs nothing.
    """

    bits: int
    machine: int
    interpreter: str | None
    needed: tuple[str, ...]
    search: tuple[str, ...]
    undefined: frozenset[str]

    def loads_with(self, other: ElfImage) -> bool:
        """Whether both belong to the same class and processor, so one can load the other."""
        return (self.bits, self.machine) == (other.bits, other.machine)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Struct formats of one ELF class and byte order."""

    bits: int
    order: str  # "<" or ">"

    @property
    def word(self) -> str:
        return "Q" if self.bits == 64 else "I"


@dataclass(frozen=True, slots=True)
class _Segment:
    """One program header: type, file offset, virtual address, bytes in the file."""

    kind: int
    offset: int
    address: int
    size: int


def is_elf(raw: bytes) -> bool:
    """Whether `raw` begins with the ELF magic."""
    return raw.startswith(MAGIC)


def parse(raw: bytes) -> ElfImage:
    """The dynamic-linking facts of the ELF file `raw`; raises BadElf where it makes no sense."""
    if not is_elf(raw):
        raise BadElf("not an ELF file")
    try:
        return _parse(raw)
    except (struct.error, OverflowError, IndexError, ValueError) as error:
        raise BadElf(f"truncated or damaged ELF file: {error}") from error


def _parse(raw: bytes) -> ElfImage:
    # e_ident: class at 4 (1 = 32 bit, 2 = 64 bit), data at 5 (1 = little, 2 = big endian)
    if raw[4] not in (1, 2) or raw[5] not in (1, 2):
        raise BadElf(f"unknown ELF class {raw[4]} or byte order {raw[5]}")
    layout = _Layout(bits=32 * raw[4], order="<" if raw[5] == 1 else ">")
    (machine,) = struct.unpack_from(layout.order + "H", raw, 18)
    segments = tuple(_segments(raw, layout))
    interpreter = next(
        (raw[s.offset : s.offset + s.size].rstrip(b"\0").decode() for s in segments
         if s.kind == _PT_INTERP),
        None,
    )  # fmt: skip
    dynamic = tuple(_dynamic(raw, layout, segments))
    strings = _string_table(raw, dynamic, segments)
    search = [_text(strings, value) for tag, value in dynamic if tag == _DT_RUNPATH] or [
        _text(strings, value) for tag, value in dynamic if tag == _DT_RPATH
    ]
    return ElfImage(
        bits=layout.bits,
        machine=machine,
        interpreter=interpreter,
        needed=tuple(_text(strings, value) for tag, value in dynamic if tag == _DT_NEEDED),
        search=tuple(part for entry in search for part in entry.split(":") if part),
        undefined=frozenset(_undefined(raw, layout, strings)),
    )


def _segments(raw: bytes, layout: _Layout) -> Iterator[_Segment]:
    if layout.bits == 64:  # e_phoff at 32, e_phentsize and e_phnum at 54 and 56
        (table,) = struct.unpack_from(layout.order + "Q", raw, 32)
        size, count = struct.unpack_from(layout.order + "HH", raw, 54)
    else:  # e_phoff at 28, e_phentsize and e_phnum at 42 and 44
        (table,) = struct.unpack_from(layout.order + "I", raw, 28)
        size, count = struct.unpack_from(layout.order + "HH", raw, 42)
    for index in range(count):
        at = table + index * size
        if layout.bits == 64:  # type, flags, offset, vaddr, paddr, filesz
            kind, _, offset, address, _, length = struct.unpack_from(
                layout.order + "IIQQQQ", raw, at
            )
        else:  # type, offset, vaddr, paddr, filesz
            kind, offset, address, _, length = struct.unpack_from(layout.order + "IIIII", raw, at)
        yield _Segment(kind, offset, address, length)


def _dynamic(
    raw: bytes, layout: _Layout, segments: tuple[_Segment, ...]
) -> Iterator[tuple[int, int]]:
    """The (tag, value) pairs of the dynamic section."""
    entry = struct.Struct(layout.order + 2 * layout.word)
    for segment in segments:
        if segment.kind != _PT_DYNAMIC:
            continue
        for at in range(segment.offset, segment.offset + segment.size, entry.size):
            tag, value = entry.unpack_from(raw, at)
            if tag == _DT_NULL:
                return
            yield tag, value


def _string_table(
    raw: bytes, dynamic: tuple[tuple[int, int], ...], segments: tuple[_Segment, ...]
) -> bytes:
    """The dynamic string table: DT_STRTAB is a virtual address, found through PT_LOAD."""
    values = dict(dynamic)
    if _DT_STRTAB not in values:
        return b""
    address, size = values[_DT_STRTAB], values.get(_DT_STRSZ, 0)
    for segment in segments:
        if segment.kind == _PT_LOAD and 0 <= address - segment.address < segment.size:
            start = segment.offset + address - segment.address
            return raw[start : start + size]
    raise BadElf("the dynamic string table is outside every loaded segment")


def _text(strings: bytes, offset: int) -> str:
    end = strings.index(b"\0", offset) if offset < len(strings) else -1
    if end < 0:
        raise BadElf("a name points outside the dynamic string table")
    return strings[offset:end].decode()


def _undefined(raw: bytes, layout: _Layout, strings: bytes) -> Iterator[str]:
    """Names in .dynsym without a section; none where the section headers were stripped."""
    if layout.bits == 64:  # e_shoff at 40, e_shentsize and e_shnum at 58 and 60
        (table,) = struct.unpack_from(layout.order + "Q", raw, 40)
        size, count = struct.unpack_from(layout.order + "HH", raw, 58)
    else:  # e_shoff at 32, e_shentsize and e_shnum at 46 and 48
        (table,) = struct.unpack_from(layout.order + "I", raw, 32)
        size, count = struct.unpack_from(layout.order + "HH", raw, 46)
    for index in range(count if table else 0):
        at = table + index * size
        (kind,) = struct.unpack_from(layout.order + "I", raw, at + 4)
        if kind != _SHT_DYNSYM:
            continue
        # sh_offset and sh_size follow type, flags and address
        offset, length = struct.unpack_from(
            layout.order + 2 * layout.word, raw, at + 8 + layout.bits // 4
        )
        # Elf64_Sym: name u32, info, other, shndx u16 at 6; Elf32_Sym: shndx at 14
        step, section_at = (24, 6) if layout.bits == 64 else (16, 14)
        for symbol in range(offset + step, offset + length, step):
            (name,) = struct.unpack_from(layout.order + "I", raw, symbol)
            (section,) = struct.unpack_from(layout.order + "H", raw, symbol + section_at)
            if section == _SHN_UNDEF and name:
                yield _text(strings, name)
