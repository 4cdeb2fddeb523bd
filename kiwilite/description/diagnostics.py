"""A mistake is a value with a place; it becomes text only at the edge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from kiwilite.description.model import Span
from kiwilite.errors import KiwiliteError

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding in a description: a stable `code` such as KL0042, one sentence, a hint."""

    span: Span
    severity: Severity
    code: str
    message: str
    hint: str | None = None

    def __str__(self) -> str:
        text = f"{self.span}: {self.severity}[{self.code}]: {self.message}"
        return f"{text}\n  hint: {self.hint}" if self.hint else text


class DescriptionInvalid(KiwiliteError):
    """The description has errors; all that were found are in `diagnostics` (exit status 1)."""

    exit_status = 1

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        errors = [d for d in diagnostics if d.severity == "error"]
        super().__init__("\n".join(str(d) for d in errors))
        self.diagnostics = tuple(diagnostics)
