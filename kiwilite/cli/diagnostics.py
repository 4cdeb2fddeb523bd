"""Diagnostics on a stream, in the form that all commands have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from kiwilite.cli.terminal import columns, wants_colour
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.lines import line_reader
from kiwilite.description.report.text import Look, count, text


def print_diagnostics(found: Sequence[Diagnostic], stream: TextIO) -> None:
    """Each with its line of the source; nothing where nothing was found."""
    look = Look(colour=wants_colour(stream), columns=columns(stream))
    stream.write(text(found, line_reader(), look))


def print_with_count(found: Sequence[Diagnostic], stream: TextIO) -> None:
    """The same, and how many they are."""
    if found:
        print_diagnostics(found, stream)
        stream.write(f"{count(found)}\n")
