"""What a file says, made fit for a terminal: one line, and nothing that commands it."""

from __future__ import annotations

import unicodedata

_TAB = "    "
_WIDE = frozenset("WF")
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of characters that move, hide or turn around what is shown."""

_PICTURES = 0x2400
"""Where Unicode has a picture of each control character."""


def printable(text: str) -> str:
    """`text` in one line, with a picture in the place of what a terminal would obey."""
    return text if text.isascii() and text.isprintable() else "".join(map(cell, text))


def cell(character: str) -> str:
    """What is shown for `character`."""
    if character == "\t":
        return _TAB
    if character < " ":
        return chr(_PICTURES + ord(character))
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character) in _UNSEEN else character


def columns(text: str) -> int:
    """How many columns of a terminal `text` takes, which is fit for one."""
    return len(text) if text.isascii() else sum(map(_width, text))


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
