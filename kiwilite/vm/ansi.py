"""Plain text from what is meant for a terminal.

Source of the sequences: ECMA-48, and xterm's "Control Sequences".
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: titles
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # DCS and the other strings
    r"|\x1b[ -/]+[0-~]"  # character sets
    r"|\x1b[0-OQ-WYZ\\`-~]"  # two characters
)
# What may become a sequence when more arrives; strings are given up at some length.
_INCOMPLETE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}\x1b?|[PX^_][^\x1b]{0,200}\x1b?|[ -/]*)\Z"
)
# Carriage returns, NUL padding and bells say nothing to a reader of lines.
_NOISE = re.compile(r"[\r\0\x07]")


def split(text: str) -> tuple[str, str]:
    """The plain text of `text`, and the beginning of a sequence at its end, if any.

    Put the second in front of what arrives next.
    """
    tail = _INCOMPLETE.search(text)
    complete = text if tail is None else text[: tail.start()]
    return strip(complete), "" if tail is None else tail.group()


def strip(text: str) -> str:
    """`text` without terminal sequences, carriage returns, NULs and bells."""
    return _NOISE.sub("", _SEQUENCE.sub("", text))
