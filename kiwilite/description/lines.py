"""The lines of description files, for whoever shows a place in them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.include import is_file
from kiwilite.description.model import Span
from kiwilite.description.source import MAX_BYTES, Source, make_source, read_source

_SECRET: Final = re.compile(
    r"""\b(?P<name>(?:password|luks)\s*=\s*["']|password:\s+)(?P<value>(?!file:)[^"'\s][^"']*)"""
)
"""Values of attributes, and of settings, that are nobody's business, least of all a log's."""


def line_reader() -> Callable[[Span], str | None]:
    """A function that gives the line a place is in; None where the file has no such line.

    Each file is read once. One that is not in the encoding it claims is shown as far as
    it is UTF-8. Secrets become as many asterisks.
    """
    sources: dict[Path, Source | None] = {}
    last: tuple[Path, int, str] | None = None

    def line_of(span: Span) -> str | None:
        nonlocal last
        if last is not None and last[:2] == (span.file, span.line):
            return last[2]
        if span.file not in sources:
            sources[span.file] = _source(span.file)
        source = sources[span.file]
        if source is None or not 0 < span.line <= len(source.line_starts):
            return None
        last = span.file, span.line, _line(source, span.line)
        return last[2]

    return line_of


def _line(source: Source, number: int) -> str:
    ends = (*source.line_starts[number : number + 1], len(source.text))
    raw = source.text[source.line_starts[number - 1] : ends[0]]
    line = raw.decode("utf-8", "replace").rstrip("\r\n")
    return _SECRET.sub(lambda found: found["name"] + "*" * len(found["value"]), line)


def _source(file: Path) -> Source | None:
    try:
        return read_source(file)
    except DescriptionInvalid:
        pass
    if not is_file(file):
        return None
    try:
        with file.open("rb") as stream:
            return make_source(file, stream.read(MAX_BYTES))
    except OSError:
        return None
