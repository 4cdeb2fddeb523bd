"""The one value that holds where a description offers several; several at once are an error.

KIWI takes the first in the file. kiwilite takes none silently: two different values
that hold for the same selection are reported with both places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.description.profiles import Selection
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean

SINGLE_ELEMENTS = ("version", "packagemanager", "locale", "keytable", "timezone")
SINGLE_ATTRIBUTES = ("script_network", "source_date_epoch")


@dataclass(frozen=True, slots=True)
class Chosen:
    """The preferences that hold, by name, and the image type (None if none is clear)."""

    values: dict[str, str]
    type: Node | None


def choose(
    root: Node, selection: Selection, type_name: str | None
) -> tuple[Chosen, list[Diagnostic]]:
    """The preferences and the image type of `selection`, and what keeps them from being clear."""
    sections = list(selection.sections(root, "preferences"))
    problems: list[Diagnostic] = []
    values: dict[str, str] = {}
    for name in SINGLE_ELEMENTS:
        found = [(node.text.strip(), node.span) for s in sections for node in s.all(name)]
        _single(f"<{name}>", name, found, values, problems)
    for name in SINGLE_ATTRIBUTES:
        found = [(s.get(name) or "", s.attribute_span(name)) for s in sections if s.get(name)]
        _single(name, name, found, values, problems)
    types = [node for s in sections for node in s.all("type")]
    if "version" not in values:
        problems.append(_missing(root, "KL0207", "version", selection))
    chosen = _choose_type(root, types, selection, type_name, problems)
    return Chosen(values, chosen), problems


def _single(
    shown: str,
    name: str,
    found: Sequence[tuple[str, Span]],
    values: dict[str, str],
    problems: list[Diagnostic],
) -> None:
    if not found:
        return
    first, place = found[0]
    values[name] = first
    for value, span in found[1:]:
        if value != first:
            message = f"`{shown}` is both `{first}` (at {_relative(place, span)}) and `{value}`"
            hint = "give the two sections profiles that exclude each other"
            problems.append(Diagnostic(span, "error", "KL0204", message, hint))


def _relative(place: Span, seen_from: Span) -> str:
    """`place`, shorter where the file is the same."""
    return f"line {place.line}" if place.file == seen_from.file else str(place)


def _missing(root: Node, code: str, element: str, selection: Selection) -> Diagnostic:
    under = ", ".join(selection.profiles) or "none"
    return Diagnostic(
        (root.first("preferences") or root).span,
        "error",
        code,
        f"no `<{element}>` holds (active profiles: {under})",
        f"add a `<{element}>` to a `<preferences>` without `profiles=`",
    )


def _choose_type(
    root: Node,
    types: Sequence[Node],
    selection: Selection,
    type_name: str | None,
    problems: list[Diagnostic],
) -> Node | None:
    if not types:
        problems.append(_missing(root, "KL0206", "type", selection))
        return None
    candidates = list(types)
    if type_name is not None:
        candidates = [node for node in types if node.get("image") == type_name]
        if not candidates:
            present = list(dict.fromkeys(node.get("image") or "" for node in types))
            message = f"no `<type>` that holds has image=`{type_name}`"
            hint = suggest.hint(type_name, present) or f"there is {', '.join(present)}"
            problems.append(Diagnostic(types[0].span, "error", "KL0206", message, hint))
            return None
    primary = [node for node in candidates if boolean(node, "primary")]
    candidates = primary or candidates
    for extra in candidates[1:]:
        place = _relative(candidates[0].span, extra.span)
        message = f"two `<type>`s hold at once; the other is at {place}"
        hint = 'mark one with primary="true", choose with --type, or give them profiles'
        problems.append(Diagnostic(extra.span, "error", "KL0205", message, hint))
    return candidates[0]
