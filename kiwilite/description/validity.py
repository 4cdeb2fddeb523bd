"""Two questions, one set of diagnostics: is it valid, and can kiwilite build it?

Diagnostics are raised as they bear on a build. What is only in kiwilite's way does not
make a description invalid: to the first question it is a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kiwilite.description.codes import NOT_BUILT
from kiwilite.description.diagnostics import Diagnostic

DEMANDS: Final = frozenset(("KL0407", "KL0408", "KL0409", "KL0418", "KL0501", "KL0502"))
"""Codes of what kiwilite demands of descriptions that it builds, and others do not."""


def as_to_validity(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """`found`, of one selection, in answer to the first question.

    kiwilite's demands are errors where nothing else keeps it from building; a description
    that is for another builder need not meet them.
    """
    foreign = any(d.severity == "error" and d.code >= NOT_BUILT for d in found)
    return [_as_warning(d) if _is_lenient(d, foreign=foreign) else d for d in found]


def _is_lenient(diagnostic: Diagnostic, *, foreign: bool) -> bool:
    return diagnostic.code >= NOT_BUILT or (foreign and diagnostic.code in DEMANDS)


def _as_warning(diagnostic: Diagnostic) -> Diagnostic:
    return replace(diagnostic, severity="warning") if diagnostic.severity == "error" else diagnostic
