"""Where a value stands in a description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kiwilite.description.model import Span
from kiwilite.description.show.elements import Element


def place_of(root: Element, name: str, among: Sequence[str]) -> Span | None:
    """Where ELEMENT or ELEMENT@ATTRIBUTE called `name` is written; None where it is nowhere.

    Of several it is the first that has one of `among` as its text or a value, else none.
    """
    element, _, attribute = name.partition("@")
    found = [one for one in _all(root) if one.name == element and _has(one, attribute)]
    if len(found) > 1:
        found = [one for one in found if _values(one) & set(among)]
    return _span(found[0], attribute) if found else None


def _all(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _all(child)


def _has(element: Element, attribute: str) -> bool:
    return not attribute or any(value.name == attribute for value in element.attributes)


def _values(element: Element) -> set[str | None]:
    """All that is said at an element, and directly in it."""
    own = {value.text for value in element.attributes} | {element.text}
    return own | {value.text for child in element.children for value in child.attributes}


def _span(element: Element, attribute: str) -> Span | None:
    origins = [v.origin for v in element.attributes if v.name == attribute] or [element.origin]
    return origins[0] if isinstance(origins[0], Span) else None
