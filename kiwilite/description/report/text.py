"""Diagnostics as a compiler prints them, each with its line of the source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kiwilite.description.diagnostics import Diagnostic, Severity
from kiwilite.description.model import Span
from kiwilite.description.report.excerpt import excerpt
from kiwilite.description.report.printable import printable

LineOf = Callable[[Span], str | None]
"""The line of a file in which a place is, without its end; None where it cannot be read."""

OF_THE_NAME: Final = frozenset(("KL0008", "KL0102", "KL0701"))
"""Codes that concern an attribute's name and not its value."""

_COLOURS: Final[dict[Severity, str]] = {"error": "1;31", "warning": "1;33", "note": "1;36"}
_FRAME: Final = "1;34"
_BOLD: Final = "1"


@dataclass(frozen=True, slots=True)
class Look:
    """What the text is printed on."""

    colour: bool = False
    columns: int = 100


def text(diagnostics: Sequence[Diagnostic], line_of: LineOf, look: Look) -> str:
    """All of `diagnostics`, an empty line behind each; empty for none."""
    return "".join(f"{one(each, line_of, look)}\n\n" for each in diagnostics)


def one(diagnostic: Diagnostic, line_of: LineOf, look: Look) -> str:
    """A diagnostic without an end of line."""
    return "\n".join(_lines(diagnostic, line_of, look))


def count(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`; empty for none."""
    words = []
    for severity in _COLOURS:
        number = sum(d.severity == severity for d in diagnostics)
        if number:
            words.append(f"{number} {severity}{'s' if number > 1 else ''}")
    return ", ".join(words)


def _lines(diagnostic: Diagnostic, line_of: LineOf, look: Look) -> Iterator[str]:
    span, own = diagnostic.span, _COLOURS[diagnostic.severity]
    head = _painted(f"{diagnostic.severity}[{diagnostic.code}]", own, look)
    number = str(span.line)
    margin = " " * len(number)
    bar = _painted(f"{margin} |", _FRAME, look)
    yield head + _painted(f": {printable(diagnostic.message)}", _BOLD, look)
    yield f"{margin}{_painted('-->', _FRAME, look)} {printable(str(span))}"
    line = line_of(span)
    if line is not None:
        room = look.columns - len(number) - 3
        name_only = diagnostic.code in OF_THE_NAME
        shown = excerpt(line, span.column, room, name_only=name_only)
        yield bar
        yield f"{_painted(f'{number} |', _FRAME, look)} {shown.line}".rstrip()
        yield f"{bar} {' ' * shown.indent}{_painted('^' * shown.width, own, look)}"
    if diagnostic.hint:
        yield f"{_painted(f'{margin} =', _FRAME, look)} hint: {printable(diagnostic.hint)}"


def _painted(words: str, colour: str, look: Look) -> str:
    return f"\x1b[{colour}m{words}\x1b[0m" if look.colour else words
