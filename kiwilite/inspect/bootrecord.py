"""The first sector: the MBR's entries against the GPT, and what else stands there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.inspect.findings import Finding, Place, error, warning
from kiwilite.inspect.regions import Region, State
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Table
from kiwilite.ondisk import mbr

PART: Final = "MBR"
_ENTRIES: Final = 446
_ENTRY: Final = 16
_WHOLE: Final = 0xFFFFFFFF
_TYPES: Final = {
    0x0C: "FAT32", 0x0E: "FAT16", 0x82: "Linux swap", 0x83: "Linux", 0xEE: "GPT", 0xEF: "ESP",
}  # fmt: skip


def entries_of(disk: Disk) -> tuple[tuple[int, mbr.MbrEntry], ...]:
    """The used entries with their numbers from 1 on; those that make no sense are left out."""
    found = []
    for number, (_, raw) in enumerate(_raw_entries(disk), 1):
        try:
            entry = mbr.MbrEntry.unpack(raw)
        except mbr.BadMbr:
            continue
        if entry.type:
            found.append((number, entry))
    return tuple(found)


def type_name(kind: int) -> str:
    """What a type byte stands for."""
    return _TYPES.get(kind, f"0x{kind:02x}")


def _raw_entries(disk: Disk) -> list[tuple[int, bytes]]:
    return [(at, disk.read(at, _ENTRY)) for at in range(_ENTRIES, _ENTRIES + 4 * _ENTRY, _ENTRY)]


def check_boot_record(disk: Disk, table: Table) -> tuple[list[Finding], list[Region]]:
    """Entries, magic, and zeros where nothing is; boot code and types are the seal's."""
    findings = list(_findings(disk, table))
    claims: list[Region] = []
    for at, _ in _raw_entries(disk):
        # All but whether it is active, and its type: these are the maker's choice.
        claims.append(Region(at + 1, at + 4, State.CHECKED, PART, "against the GPT"))
        claims.append(Region(at + 5, at + _ENTRY, State.CHECKED, PART, "against the GPT"))
    claims.append(Region(510, 512, State.CHECKED, PART, "0x55 0xAA"))
    code = disk.read(0, _ENTRIES)
    if not code.strip(b"\0"):
        claims.append(Region(0, _ENTRIES, State.CHECKED, PART, "zeros"))
    rest = disk.read(mbr.MBR_SIZE, table.sector - mbr.MBR_SIZE)
    if rest:
        claims.append(Region(mbr.MBR_SIZE, table.sector, State.CHECKED, PART, "zeros"))
    if rest.strip(b"\0"):
        where = Place(PART, mbr.MBR_SIZE, table.sector)
        findings.append(warning(where, "something stands behind the boot record"))
    return findings, claims


def _findings(disk: Disk, table: Table) -> Iterator[Finding]:
    if disk.read(510, 2) != b"\x55\xaa":
        yield error(Place(PART, 510, 512), "the boot record does not end in 0x55 0xAA")
    shown: list[tuple[Place, mbr.MbrEntry]] = []
    for at, raw in _raw_entries(disk):
        where = Place(PART, at, at + _ENTRY)
        try:
            entry = mbr.MbrEntry.unpack(raw)
        except mbr.BadMbr as problem:
            yield error(where, problem.message)
            continue
        if not entry.type:
            if raw.strip(b"\0"):
                yield error(where, "an entry of type 0 is not empty")
            continue
        shown.append((where, entry))
        if raw[1:8] != entry.pack()[1:8] and raw[1:8] != _other_chs(entry):
            yield warning(where, "cylinders, heads and sectors are not those of the LBAs")
    guards = [(w, e) for w, e in shown if e.type == mbr.TYPE_GPT_PROTECTIVE]
    if len(guards) != 1:
        yield error(Place(PART, _ENTRIES, 510), "there must be one entry of type 0xEE")
    if sum(e.boot is mbr.BootIndicator.ACTIVE for _, e in shown) > 1:
        yield error(Place(PART, _ENTRIES, 510), "more than one partition is active")
    if any(e.boot is mbr.BootIndicator.ACTIVE for _, e in guards):
        yield error(guards[0][0], "the entry that guards the GPT is active")
    yield from _against_table(table, shown)


def _other_chs(entry: mbr.MbrEntry) -> bytes:
    """How other tools write the protective entry."""
    guards = entry.type == mbr.TYPE_GPT_PROTECTIVE
    return b"\x00\x02\x00\xee\xff\xff\xff" if guards else b""


def _against_table(table: Table, shown: list[tuple[Place, mbr.MbrEntry]]) -> Iterator[Finding]:
    real = {(p.start // table.sector, p.size // table.sector) for p in table.partitions}
    hybrid = [(w, e) for w, e in shown if e.type != mbr.TYPE_GPT_PROTECTIVE]
    for where, entry in hybrid:
        if (entry.first_lba, entry.sectors) not in real:
            yield error(
                where,
                f"LBA {entry.first_lba} with {entry.sectors} sectors is no partition of the GPT",
                "a BIOS or another system would see other partitions than Linux",
            )
    for where, entry in shown:
        if entry.type != mbr.TYPE_GPT_PROTECTIVE:
            continue
        first = min((e.first_lba for _, e in hybrid), default=0)
        allowed = {first - 1} if first else {table.gpt.disk_sectors - 1, _WHOLE}
        if entry.first_lba != 1 or min(entry.sectors, _WHOLE) not in allowed:
            message = f"the entry of type 0xEE covers {entry.sectors} sectors"
            yield error(where, f"{message} from LBA {entry.first_lba} on, not the table's")
