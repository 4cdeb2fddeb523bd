"""What the streams of this process are: a terminal that wants colours, and how wide."""

from __future__ import annotations

import os
from typing import TextIO

PLAIN_COLUMNS = 100
"""Of text that does not go to a terminal."""


def wants_colour(stream: TextIO) -> bool:
    """Whether colours are for a terminal whose owner has not said NO_COLOR."""
    return stream.isatty() and "NO_COLOR" not in os.environ


def columns(stream: TextIO) -> int:
    """How wide `stream` is."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or PLAIN_COLUMNS
    except (OSError, ValueError):
        return PLAIN_COLUMNS


def painted(words: str, colour: str, wanted: bool) -> str:
    """`words` in `colour` (numbers of SGR), if that is wanted."""
    return f"\x1b[{colour}m{words}\x1b[0m" if wanted else words
