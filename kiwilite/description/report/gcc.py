"""Diagnostics as gcc prints them, a line each, for editors that read those."""

from __future__ import annotations

from collections.abc import Iterable

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.report.printable import printable


def gcc(diagnostics: Iterable[Diagnostic]) -> str:
    """`file:line:column: error: message [CODE]`, a line for each."""
    return "".join(f"{_line(each)}\n" for each in diagnostics)


def _line(diagnostic: Diagnostic) -> str:
    head = f"{diagnostic.span}: {diagnostic.severity}: {diagnostic.message}"
    return printable(f"{head} [{diagnostic.code}]")
