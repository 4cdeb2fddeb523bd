"""What kiwilite builds of the vocabulary, what it ignores, and what it cannot build.

One row per element (`machine`) or attribute (`type@mdraid`). A row of an element stands
for all that is in it. BUILT lists the names without a row, so that one added to the
grammar has to be put somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.profiles import Selection
from kiwilite.description.resolve_type import DEFAULT_FIRMWARE
from kiwilite.description.secret import without_secret
from kiwilite.description.support_table import IGNORED, NOT_BUILT, NOT_RUN
from kiwilite.description.tree import Node

Status = Literal["ignored", "not built", "not run"]


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

_REPORTS: Final[dict[Status, tuple[Literal["error", "warning"], str, str]]] = {
    "not built": ("error", "KL0901", "is not built by kiwilite"),
    "ignored": ("warning", "KL0902", "is ignored by kiwilite"),
    "not run": ("error", "KL0903", "names a script that kiwilite does not run"),
}


def check_support(
    root: Node, selection: Selection, image_type: Node, packages: Sequence[Node]
) -> Iterator[Diagnostic]:
    """What is not built or ignored among the parts that hold for `selection`."""
    yield from _node(root, deep=False)
    used = set(packages)
    for section in root.children:
        if section.name == "packages":
            if section in used:
                yield from _node(section, deep=True)
        elif section.name == "preferences":
            if selection.holds(section):
                yield from _preferences(section, image_type)
        elif selection.holds(section):
            yield from _node(section, deep=True)
    for name, value in _DEFAULTS.items():
        if image_type.get("image") == "oem" and name not in image_type.attributes:
            yield from _report(f"type@{name}", f'`{name}="{value}"`', value, image_type)
    archive = root.file.parent / "root.tar.gz"
    if archive.exists():
        message = "root.tar.gz beside the description is not built by kiwilite"
        hint = "unpack it into root/"
        yield Diagnostic(root.span, "error", "KL0901", message, hint)


def _preferences(section: Node, image_type: Node) -> Iterator[Diagnostic]:
    """Of the types only the chosen one counts."""
    yield from _node(section, deep=False)
    for child in section.children:
        if child.name != "type" or child is image_type:
            yield from _node(child, deep=True)


def _node(node: Node, *, deep: bool) -> Iterator[Diagnostic]:
    text = node.text.strip()
    shown = f"`<{node.name}>{text}`" if text and len(text) < 40 else f"`<{node.name}>`"
    yield from _report(node.name, shown, text, node)
    if node.name in SUPPORT and not SUPPORT[node.name].fine:
        return
    for name, value in node.attributes.items():
        seen = without_secret(node, name, value)
        equals = "" if seen is None else f'="{seen}"'
        shown = f"`{node.renamed.get(name, name)}{equals}`"
        yield from _report(f"{node.name}@{name}", shown, value.strip(), node, name)
    if deep:
        for child in node.children:
            yield from _node(child, deep=True)


def _report(
    key: str, shown: str, value: str, node: Node, attribute: str | None = None
) -> Iterator[Diagnostic]:
    support = SUPPORT.get(key)
    if support is None or value in support.fine:
        return
    span = node.span if attribute is None else node.attribute_span(attribute)
    severity, code, words = _REPORTS[support.status]
    yield Diagnostic(span, severity, code, f"{shown} {words}", support.instead or None)
