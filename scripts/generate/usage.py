"""The docopt texts of the commands, as data: for manual pages and completions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_ENTRY = re.compile(r"  (?P<head>\S.*?)(?:  +(?P<text>\S.*))?$")
_FLAG = re.compile(r"-{1,2}[A-Za-z][\w-]*")
_ARGUMENT = re.compile(r"-{1,2}[A-Za-z][\w-]*[= ](?P<name>[A-Z]+)")
_WORD_OF_CHOICE = re.compile(r"\b(text|json|sarif|gcc|xml|yaml|svg|virtio|nvme|ahci|usb)\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a list: a command, or an option as it is written, and what is said of it."""

    head: str
    text: str

    @property
    def flags(self) -> tuple[str, ...]:
        """`-m` and `--memory` of an option."""
        return tuple(_FLAG.findall(self.head))

    @property
    def argument(self) -> str | None:
        """Name of what follows an option, such as FILE."""
        found = _ARGUMENT.search(self.head)
        return found["name"] if found else None

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that its text lists."""
        if self.argument not in ("FORMAT", "BUS"):
            return ()
        return tuple(dict.fromkeys(_WORD_OF_CHOICE.findall(self.text)))


@dataclass(frozen=True, slots=True)
class Usage:
    """A command's help: what it does, how it is called, and everything else in paragraphs."""

    summary: str
    patterns: tuple[str, ...]
    commands: tuple[Entry, ...]
    options: tuple[Entry, ...]
    remarks: tuple[str, ...]


def parse(text: str) -> Usage:
    """The parts of a docopt text."""
    blocks = [block for block in text.strip("\n").split("\n\n") if block.strip()]
    parts: dict[str, list[str]] = {"Usage": [], "Commands": [], "Options": []}
    remarks = []
    for block in blocks[1:]:
        title, _, rest = block.partition(":\n")
        if title in parts:
            parts[title] += rest.split("\n")
        else:
            remarks.append(" ".join(block.split()))
    return Usage(
        " ".join(blocks[0].split()),
        tuple(line.strip() for line in parts["Usage"]),
        tuple(_entries(parts["Commands"])),
        tuple(_entries(parts["Options"])),
        tuple(remarks),
    )


def _entries(lines: list[str]) -> Iterator[Entry]:
    """Rows that begin two columns in; what is further in goes on with the row before."""
    head, text = "", ""
    for line in lines:
        found = _ENTRY.fullmatch(line)
        if found and not line.startswith("   "):
            if head:
                yield Entry(head, text)
            head, text = found["head"], found["text"] or ""
        else:
            text = f"{text} {line.strip()}".strip()
    if head:
        yield Entry(head, text)
