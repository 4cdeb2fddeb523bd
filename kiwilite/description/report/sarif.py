"""Diagnostics as a SARIF 2.1.0 log, for services and editors that take one.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from kiwilite import __version__
from kiwilite.description.diagnostics import Diagnostic, Severity
from kiwilite.description.explanation import explanation

_SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

_LEVELS: Final[dict[Severity, str]] = {"error": "error", "warning": "warning", "note": "note"}


def sarif(diagnostics: Sequence[Diagnostic]) -> str:
    """A log of one run; of the rules it has those that were broken."""
    codes = sorted({d.code for d in diagnostics})
    driver = {"name": "kiwilite", "version": __version__, "rules": [_rule(code) for code in codes]}
    results = [_result(d, codes.index(d.code)) for d in diagnostics]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1) + "\n"


def _rule(code: str) -> dict[str, Any]:
    known = explanation(code)
    return {
        "id": code,
        "shortDescription": {"text": known.title},
        "fullDescription": {"text": known.meaning},
        "help": {"text": known.body, "markdown": known.body},
    }


def _result(diagnostic: Diagnostic, rule: int) -> dict[str, Any]:
    span = diagnostic.span
    words = diagnostic.message + (f"; {diagnostic.hint}" if diagnostic.hint else "")
    place = {
        "artifactLocation": {"uri": _uri(span.file)},
        "region": {"startLine": span.line, "startColumn": span.column},
    }
    return {
        "ruleId": diagnostic.code,
        "ruleIndex": rule,
        "level": _LEVELS[diagnostic.severity],
        "message": {"text": words},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: Path) -> str:
    """A reference relative to where the check ran, unless the path is an absolute one."""
    path = quote(bytes(file))
    return f"file://{path}" if file.is_absolute() else path
