"""GRUB's configuration file for one kernel, one initrd and several command lines.

Written and read here so that a finished image can be compared with its unified kernel
image: the entries of `read(text)` are those that were given to `render`. Source of the
syntax: GRUB manual 2.12, "Shell-like scripting" and "menuentry".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiwilite.ondisk.grub import INITRD_FILE, LINUX_FILE, BadGrub

HIDDEN_SECONDS: Final = 1
"""How long Esc shows the menu where the description asks for no menu at all."""

_HEAD: Final = """\
# A legacy BIOS starts here what UEFI starts from the unified kernel image beside this:
# the same kernel, initrd and command line, but without a signature and unmeasured.
"""
_SERIAL_CONSOLE: Final = re.compile(r"console=ttyS([0-9])(?:,([0-9]+).*)?")
_ID: Final = re.compile(r"[A-Za-z0-9._-]+")
_ENTRY: Final = re.compile(r"menuentry (.*) --id (\S+) \{")
# GRUB would put a backslash before these, and the kernel would see it.
_CHANGED_BY_GRUB: Final = frozenset("\\'")


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """One entry of the menu; `cmdline` is what the kernel is to see behind BOOT_IMAGE=."""

    id: str
    title: str
    cmdline: str


def render(entries: Sequence[MenuEntry], *, timeout: int) -> str:
    """The configuration file; the first entry is what starts by itself.

    `timeout` is in seconds; with 0 nothing is shown, and Esc has one second to change
    that. Where the first command line has a serial console, the menu is there too.
    Raises BadGrub for a command line that GRUB would not hand on as it is, and for an
    entry without an id or a title.
    """
    lines = [*_terminals(entries[0].cmdline), f"set default={entries[0].id}"]
    if len(entries) == 1:
        lines += ["set timeout=0"]
    else:
        style = "menu" if timeout else "hidden"
        lines += [f"set timeout_style={style}", f"set timeout={timeout or HIDDEN_SECONDS}"]
    for entry in entries:
        if not _ID.fullmatch(entry.id) or not entry.title:
            raise BadGrub("menu", f"an entry needs an id and a title, not {entry}")
        words = " ".join(_quoted(word) for word in kernel_words(entry.cmdline))
        lines += [
            f"menuentry {_quoted(entry.title)} --id {entry.id} {{",
            f"    linux /{LINUX_FILE} {words}".rstrip(),
            f"    initrd /{INITRD_FILE}",
            "}",
        ]
    return _HEAD + "".join(f"{line}\n" for line in lines)


def _terminals(cmdline: str) -> list[str]:
    found = next(filter(None, map(_SERIAL_CONSOLE.fullmatch, cmdline.split())), None)
    if found is None:
        return []
    unit, speed = found.group(1), found.group(2) or "115200"
    return [
        f"serial --unit={unit} --speed={speed}",
        "terminal_input console serial",
        "terminal_output console serial",
    ]


def kernel_words(cmdline: str) -> list[str]:
    """The words as the kernel divides them, without quotes: blanks between them divide nothing.

    Two command lines with the same words are the same to the kernel. Raises BadGrub for
    one that GRUB would not hand on as it is.
    """
    if _CHANGED_BY_GRUB & set(cmdline) or cmdline.count('"') % 2:
        raise BadGrub(
            "command line",
            "GRUB cannot hand on a backslash, a single quote or an odd double quote",
        )
    return [word.replace('"', "") for word in re.findall(r'(?:"[^"]*"|[^"\s])+', cmdline)]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def read(text: str) -> tuple[MenuEntry, ...]:
    """The entries of a file that `render` has written. Raises BadGrub for any other one."""
    found: list[MenuEntry] = []
    lines = iter(text.splitlines())
    for line in lines:
        head = _ENTRY.fullmatch(line)
        if head is None:
            continue
        try:
            (title,) = shlex.split(head.group(1))
            order, kernel, *words = shlex.split(next(lines, ""))
        except ValueError as error:
            raise BadGrub("menu", f"entry {len(found) + 1} is not as kiwilite writes it") from error
        if (order, kernel) != ("linux", f"/{LINUX_FILE}"):
            raise BadGrub("menu", f"entry {head.group(2)} starts {kernel}, not /{LINUX_FILE}")
        if next(lines, "").split() != ["initrd", f"/{INITRD_FILE}"]:
            raise BadGrub("menu", f"entry {head.group(2)} has another initrd than /{INITRD_FILE}")
        found.append(MenuEntry(head.group(2), title, " ".join(map(_as_the_kernel_gets_it, words))))
    if not found or render(found, timeout=_timeout(text)) != text:
        raise BadGrub("menu", "is not as kiwilite writes it")
    return tuple(found)


def _as_the_kernel_gets_it(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _timeout(text: str) -> int:
    if "set timeout_style=menu\n" not in text:
        return 0
    found = re.search(r"^set timeout=([0-9]+)$", text, re.MULTILINE)
    return int(found.group(1)) if found else 0
