"""An error at the place of an element or of one of its attributes."""

from __future__ import annotations

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.tree import Node


def fault(
    node: Node, attribute: str | None, code: str, message: str, hint: str | None = None
) -> Diagnostic:
    """An error at `attribute`, or where the element begins: with None, or without it there."""
    span = node.span if attribute is None else node.attribute_span(attribute)
    return Diagnostic(span, "error", code, message, hint)
