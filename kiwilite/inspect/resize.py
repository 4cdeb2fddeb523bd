"""Make the disk of an image larger: both tables, the MBR, the last partition, the seal.

The image is changed in a copy that takes its name when it is complete, so nobody ever
sees half of it. What is inside a partition stays as it is.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kiwilite.errors import KiwiliteError, UsageError
from kiwilite.inspect.content import Content, Luks, Mark, Zeros
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.look import Seen, look
from kiwilite.inspect.source import BadImage, Disk, convert, opened
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import gpt, mbr, seal
from kiwilite.ondisk.sparse import copy_sparse

MIB: Final = 1 << 20
LEAST_OVERLAY: Final = 321 * MIB
"""Smallest partition that a volume with authenticated encryption and XFS fits into."""

_SIZE: Final = re.compile(r"([0-9]{1,15})([KMGT]?)(i?B)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "K": 1 << 10, "M": MIB, "G": 1 << 30, "T": 1 << 40}


class CannotResize(KiwiliteError):
    """The image does not take that size."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is written into an image of the new size: bytes by offset, and what to tell."""

    writes: tuple[tuple[int, bytes], ...]
    told: tuple[str, ...]


def parse_size(text: str) -> int:
    """Bytes of "8G", "8192M", "8589934592"; units count by 1024. Raises UsageError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"{text!r} is no size", hint="8G, 8192M, or a number of bytes")
    size = int(found[1]) * _UNITS[found[2].upper()]
    if not size or size % MIB:
        raise UsageError(f"{text} is no whole number of MiB", hint="8G or 8192M")
    return size


def resize(image: Path, size: int, output: Path) -> tuple[str, ...]:
    """Write `image` with a disk of `size` bytes to `output` (which may be the same file).

    Returns what was done. Raises CannotResize, BadImage, or NoTable.
    """
    with opened(image) as disk:
        form = disk.form
        if form not in ("raw", "qcow2"):
            hint = "put it together in one file" if form == "split" else "resize the image file"
            raise BadImage(f"a {form} cannot be resized", where=str(image), hint=hint)
        _refuse(disk, size)
        scratch = output.with_name(f".{output.name}.{os.getpid()}.raw")
        done = output.with_name(f".{output.name}.{os.getpid()}.{form}.new")
        try:
            told = _write(disk, size, scratch)
            if form == "raw":
                scratch.replace(done)
            else:
                convert(scratch, "raw", done, form)
            _settle(done)
            done.chmod(image.stat().st_mode & 0o777)
            done.replace(output)
        finally:
            scratch.unlink(missing_ok=True)
            done.unlink(missing_ok=True)
    return told


def _refuse(disk: Disk, size: int) -> None:
    """Before anything is copied: a damaged table, or a size that is too small."""
    seen = look(disk)
    wrong = next(
        (
            f for f in seen.checked.findings
            if f.severity is Severity.ERROR and f.place.part in ("MBR", "primary GPT", "backup GPT")
        ),
        None,
    )  # fmt: skip
    if wrong is not None:
        raise CannotResize(
            f"the partition table is damaged: {wrong.what}", hint="kiwilite image verify tells more"
        )
    least = least_size(seen)
    if size < least:
        raise CannotResize(
            f"the disk must have {-(-least // MIB)} MiB at least, {size // MIB} are asked for",
            hint="an image is not made smaller than what is on it",
        )


def _write(disk: Disk, size: int, scratch: Path) -> tuple[str, ...]:
    with scratch.open("w+b") as out:
        copy_sparse(disk.pieces[0].path, out, 0)
        out.truncate(max(size, disk.size))
    with opened(scratch) as copy:
        before = disk.size
        change = planned(look(disk), size)
        del copy
    with scratch.open("r+b") as out:
        for offset, data in change.writes:
            out.seek(offset)
            out.write(data)
        out.truncate(size)
    _reseal(scratch, disk)
    words = f"{before // MIB} MiB → {size // MIB} MiB"
    return (words, *change.told)


def _settle(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _last(seen: Seen) -> Partition:
    return max(seen.table.partitions, key=lambda p: p.start)


def _can_grow(content: Content) -> bool:
    """Whether nothing is inside that would have to grow along."""
    return isinstance(content, Mark | Zeros)


def least_size(seen: Seen) -> int:
    """Bytes that the disk must have for what is on it."""
    sector = seen.table.sector
    last = _last(seen)
    end = last.end
    if isinstance(seen.content(last), Mark):
        end = min(end, last.start + LEAST_OVERLAY)
    return -(-(end + (1 + seen.table.gpt.entry_sectors) * sector) // MIB) * MIB


def planned(seen: Seen, size: int) -> Change:
    """The new table around partitions that stay where they are; the last one may get longer."""
    table, last = seen.table, _last(seen)
    content = seen.content(last)
    sector = table.sector
    sectors = size // sector
    resized = replace(table.gpt, disk_sectors=sectors)
    told = [_about(seen, last, content)]
    if _can_grow(content):
        # Partitions end on whole MiB, so the backup table takes the last one.
        end = (resized.last_usable_lba + 1) * sector // MIB * MIB
        partitions = tuple(
            replace(p, last_lba=end // sector - 1) if p.unique_guid == last.guid else p
            for p in table.gpt.partitions
        )
        resized = replace(resized, partitions=partitions)
        told = [f"{last.name}: {last.size // MIB} MiB → {(end - last.start) // MIB} MiB"]
    areas = gpt.write(resized)
    old = next(a for a in table.areas if a.start > last.start)
    record = _boot_record(seen, resized, last)
    return Change(
        (
            (old.start, bytes(old.end - old.start)),
            (areas.primary_offset, areas.primary),
            (areas.backup_offset, areas.backup),
            (0, record),
        ),
        tuple(told),
    )


def _about(seen: Seen, last: Partition, content: Content) -> str:
    """Why the last partition stays as it is, and who makes it larger."""
    policy = seen.policy
    grows = [when for when, guid in (policy.grow if policy else ()) if guid == last.guid]
    if isinstance(content, Luks) and grows:
        return f"{last.name} is encrypted and stays as it is: the first boot on this disk grows it"
    if isinstance(content, Luks):
        return (
            f"{last.name} is encrypted and stays as it is: only a boot can grow what is inside,"
            ' and the image has no oem-resize="true"'
        )
    if grows:
        return f"{last.name} stays as it is: the first boot on this disk grows it"
    return f"{last.name} stays as it is: the room behind it is free for another partition"


def _boot_record(seen: Seen, resized: gpt.Gpt, last: Partition) -> bytes:
    """The first sector's 512 bytes with entries for the new sizes."""
    sector = seen.table.sector
    record = mbr.Mbr.unpack(seen.disk.read(0, mbr.MBR_SIZE))
    grown = next(p for p in resized.partitions if p.unique_guid == last.guid)
    plain = sum(e.type != 0 for e in record.entries) == 1
    entries = []
    for entry in record.entries:
        if entry.type == mbr.TYPE_GPT_PROTECTIVE and plain:
            whole = mbr.protective(resized.disk_sectors).entries[0]
            entries.append(replace(entry, sectors=whole.sectors))
        elif entry.type != mbr.TYPE_GPT_PROTECTIVE and entry.first_lba == last.start // sector:
            entries.append(replace(entry, sectors=grown.sectors))
        else:
            entries.append(entry)
    return replace(record, entries=tuple(entries)).pack()


def _reseal(path: Path, before: Disk) -> None:
    """Give the seal the digests of what was changed on purpose, and of nothing else.

    What did not go with the seal before must not go with it now.
    """
    with opened(path) as disk:
        seen = look(disk)
        old = look(before).seal.parts
        if not old:
            return
        last = _last(seen)
        parts: list[seal.Part] = []
        for part in old:
            is_record = part.name == seal.MBR_ENTRIES
            is_grown = part.name == last.name and _can_grow(seen.content(last))
            if (is_record or is_grown) and (
                seal.digest(part.start, part.end, _blocks(before)) == part.digest
            ):
                end = last.end if is_grown and part.end == _end_of(old, last.name) else part.end
                length = end - part.start
                digest = seal.digest(part.start, end, _blocks(disk))
                parts.append(seal.Part(part.name, part.start, length, digest))
            else:
                parts.append(part)
        record = seal.pack(parts).ljust(seen.seal.end - seal.OFFSET, b"\0")
    with path.open("r+b") as out:
        out.seek(seal.OFFSET)
        out.write(record)


def _end_of(parts: tuple[seal.Part, ...], name: str) -> int:
    return max(p.end for p in parts if p.name == name)


def _blocks(disk: Disk) -> seal.Blocks:
    return lambda start, end: disk.chunks(start, end, seal.BLOCK)
