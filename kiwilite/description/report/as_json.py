"""Diagnostics as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from kiwilite.description.diagnostics import Diagnostic


def as_json(diagnostics: Iterable[Diagnostic]) -> str:
    """`{"diagnostics": […]}`; `hint` is null where there is none."""
    return json.dumps({"diagnostics": [_row(each) for each in diagnostics]}, indent=1) + "\n"


def _row(diagnostic: Diagnostic) -> dict[str, str | int | None]:
    return {
        "file": str(diagnostic.span.file),
        "line": diagnostic.span.line,
        "column": diagnostic.span.column,
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    }
