"""What kiwilite builds of the vocabulary, what it ignores, and what it cannot build.

One row per element (`machine`) or attribute (`type@mdraid`). A row of an element stands
for all that is in it. BUILT lists the names without a row, so that one added to the
grammar has to be put somewhere. CONDITIONS has the rest: what depends on what stands beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.description.profiles import Selection
from kiwilite.description.resolve_type import DEFAULT_FIRMWARE
from kiwilite.description.secret import without_secret
from kiwilite.description.support_conditions import CONDITIONS, Condition, Status
from kiwilite.description.support_ignored import IGNORED
from kiwilite.description.support_table import NOT_BUILT, NOT_RUN
from kiwilite.description.tree import Node


@dataclass(frozen=True, slots=True)
class Support:
    """How kiwilite treats a name; values in `fine` need no report."""

    status: Status
    fine: tuple[str, ...]
    instead: str


def _rows(table: Mapping[str, str], status: Status) -> dict[str, Support]:
    """Rows of "names | values that are fine": what to do instead."""
    rows = {}
    for key, instead in table.items():
        names, _, fine = key.partition("|")
        for name in names.split():
            rows[name] = Support(status, tuple(fine.split()), instead)
    return rows


SUPPORT: Final = {
    **_rows(NOT_BUILT, "not built"),
    **_rows(IGNORED, "ignored"),
    **_rows(NOT_RUN, "not run"),
}

_DEFAULTS: Final = {"firmware": DEFAULT_FIRMWARE, "overlayroot": "false"}
"""Values of `<type>`'s attributes where they are missing, if those are not built."""

CONDITIONS_BY_NAME: Final[Mapping[str, tuple[Condition, ...]]] = {
    one.name: tuple(c for c in CONDITIONS if c.name == one.name) for one in CONDITIONS
}

REPORTS: Final[dict[Status, tuple[Literal["error", "warning"], str, str]]] = {
    "not built": ("error", "KL0901", "is not built by kiwilite"),
    "ignored": ("warning", "KL0902", "is ignored by kiwilite"),
    "not run": ("error", "KL0903", "names a script that kiwilite does not run"),
}


def check_support(
    root: Node, selection: Selection, image_type: Node, packages: Sequence[Node]
) -> Iterator[Diagnostic]:
    """What is not built or ignored among the parts that hold for `selection`."""
    for node in _holding(root, selection, image_type, packages):
        yield from _node(node, image_type)
    for name, value in _DEFAULTS.items():
        if image_type.get("image") == "oem" and name not in image_type.attributes:
            yield from _row(f"type@{name}", f'`{name}="{value}"`', value, image_type, None)


def _holding(
    root: Node, selection: Selection, image_type: Node, packages: Sequence[Node]
) -> Iterator[Node]:
    """The elements that count, without what is inside of one that is not built as a whole."""
    yield root
    used = set(packages)
    for section in root.children:
        if section in used if section.name == "packages" else selection.holds(section):
            yield from _below(section, image_type)


def _below(node: Node, image_type: Node) -> Iterator[Node]:
    """`node` and what is in it; of the types only the chosen one counts."""
    yield node
    row = SUPPORT.get(node.name)
    if row is not None and not row.fine:
        return
    for child in node.children:
        if child.name != "type" or child is image_type:
            yield from _below(child, image_type)


def _node(node: Node, image_type: Node) -> Iterator[Diagnostic]:
    text = node.text.strip()
    shown = f"`<{node.name}>{text}`" if text and len(text) < 40 else f"`<{node.name}>`"
    yield from _report(node.name, shown, text, node, image_type)
    if node.name in SUPPORT and not SUPPORT[node.name].fine:
        return
    for name, value in node.attributes.items():
        seen = without_secret(node, name, value)
        equals = "" if seen is None else f'="{seen}"'
        shown = f"`{node.renamed.get(name, name)}{equals}`"
        yield from _report(f"{node.name}@{name}", shown, value.strip(), node, image_type, name)


def _report(
    key: str,
    shown: str,
    value: str,
    node: Node,
    image_type: Node,
    attribute: str | None = None,
) -> Iterator[Diagnostic]:
    """What the first condition that holds says, else the row."""
    possible = CONDITIONS_BY_NAME.get(key, ())
    condition = next((c for c in possible if c.holds(node, image_type)), None)
    if condition is None:
        yield from _row(key, shown, value, node, attribute)
        return
    severity, code, words = REPORTS[condition.status]
    message = f"{shown} {words}: {condition.why}"
    yield Diagnostic(_span(node, attribute), severity, code, message, condition.instead)


def _row(
    key: str, shown: str, value: str, node: Node, attribute: str | None
) -> Iterator[Diagnostic]:
    support = SUPPORT.get(key)
    if support is None or value in support.fine:
        return
    severity, code, words = REPORTS[support.status]
    yield Diagnostic(_span(node, attribute), severity, code, f"{shown} {words}", support.instead)


def _span(node: Node, attribute: str | None) -> Span:
    return node.span if attribute is None else node.attribute_span(attribute)
