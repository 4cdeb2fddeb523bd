"""What the partition table cannot do: hybrid MBR, legacy BIOS, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.partition_names import ESP, LEGACY, READ_ONLY, READ_WRITE
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean, integer

HASHES: Final = "-verity"
_PARTS: Final = ("verity", "fec", "metadata")
"""What the name of a partition with a hash tree of its own ends with."""

MOST_ENTRIES: Final = 3
"""One of the four entries of an MBR guards the GPT."""

STEPS: Final = frozenset(
    (
        "bios-boot",
        "boot-files",
        "bootstrap",
        "customise",
        "disk",
        "esp",
        "layout",
        "overlay-luks",
        "packages",
        "resolve-packages",
        "uki",
    )
)
"""Names of the other steps of a build; that of a partition has its name. `root` is KIWI's too."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_LONGEST_NAME: Final = 36
"""UTF-16 units of a name in a GPT."""

_GUARDS: Final = {0x00: "an unused entry", 0xEE: "the guard of the GPT"}


def check_table(image_type: Node, arch: str) -> Iterator[Diagnostic]:
    """Names, the hybrid MBR, and what a BIOS can boot."""
    yield from _names(image_type)
    yield from _bios(image_type, arch)
    section = image_type.first("hybridmbr")
    if section is None:
        return
    if not boolean(image_type, "gpt_hybrid_mbr"):
        message = '`<hybridmbr>` needs `gpt_hybrid_mbr="true"` at its `<type>`'
        yield fault(section, None, "KL0702", message)
    yield from _entries(list(section.all("entry")), list(_table(image_type)))


def _partitions(image_type: Node) -> Iterator[Node]:
    return (p for section in image_type.all("partitions") for p in section.all("partition"))


def _own_hashes(image_type: Node) -> bool:
    verity = image_type.first("verity")
    return verity is not None and verity.get("hash_tree") == "partition"


def _table(image_type: Node) -> Iterator[str]:
    """Names of all partitions, in the table's order."""
    own_hashes = _own_hashes(image_type)
    yield from (LEGACY, ESP)
    for partition in _partitions(image_type):
        name = partition.get("name") or ""
        yield name
        if own_hashes and partition.get("filesystem") == "squashfs":
            yield name + HASHES
    if boolean(image_type, "overlayroot"):
        yield READ_ONLY
        if own_hashes:
            yield READ_ONLY + HASHES
        if boolean(image_type, "overlayroot_write_partition", default=True):
            yield READ_WRITE


def _names(image_type: Node) -> Iterator[Diagnostic]:
    longest = _LONGEST_NAME - (len(HASHES) if _own_hashes(image_type) else 0)
    own = {LEGACY, ESP, READ_ONLY, READ_WRITE, READ_ONLY + HASHES, *STEPS}
    own |= {image_type.get("format") or ""}
    names = [p.get("name") or "" for p in _partitions(image_type)]
    for partition, name in zip(_partitions(image_type), names, strict=True):
        parent, _, part = name.rpartition("-")
        if name in own or (part in _PARTS and parent in {"root", *names}):
            message = f"the partition name `{name}` is one that kiwilite gives itself"
            yield fault(partition, "name", "KL0404", message)
        elif name and (not _NAME.fullmatch(name) or len(name) > longest):
            message = f"a partition cannot be called `{name}`"
            hint = f"take at most {longest} letters, digits, `_`, `-` and `.`"
            yield fault(partition, "name", "KL0418", message, hint)


def _bios(image_type: Node, arch: str) -> Iterator[Diagnostic]:
    if not boolean(image_type, "eficsm"):
        return
    if arch not in ("x86_64", "ix86"):
        message = f"there is no legacy BIOS on {arch}"
        yield fault(image_type, "eficsm", "KL0417", message, "leave it out")
    if (integer(image_type, "target_blocksize") or 512) != 512:
        message = "a legacy BIOS boots from disks with sectors of 512 bytes only"
        hint = 'leave target_blocksize out, or write eficsm="false"'
        yield fault(image_type, "eficsm", "KL0417", message, hint)


def _entries(entries: list[Node], table: list[str]) -> Iterator[Diagnostic]:
    seen: dict[str, Node] = {}
    active: Node | None = None
    for entry in entries:
        name = entry.get("partition") or ""
        first = seen.setdefault(name, entry)
        if name not in table:
            hint = suggest.hint(name, table) or suggest.legal("its partitions are", table)
            message = f"the disk has no partition `{name}`"
            yield fault(entry, "partition", "KL0413", message, hint)
        elif first is not entry:
            message = f"`{name}` is in the MBR already (line {first.span.line})"
            yield fault(entry, "partition", "KL0413", message)
        written = entry.get("type") or ""
        kind = int(written, 16) if re.fullmatch(r"(0x)?[0-9A-Fa-f]{1,2}", written) else None
        if kind in _GUARDS:
            message = f"the type `{written}` stands for {_GUARDS[kind]}"
            yield fault(entry, "type", "KL0413", message)
        if boolean(entry, "active"):
            if active is not None:
                message = f"a BIOS boots from one partition; line {active.span.line} has another"
                yield fault(entry, "active", "KL0413", message)
            active = active or entry
    for entry in entries[MOST_ENTRIES:]:
        message = f"a hybrid MBR shows at most {MOST_ENTRIES} partitions"
        yield fault(entry, None, "KL0413", message)
