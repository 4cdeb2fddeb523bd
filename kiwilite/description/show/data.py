"""What holds as data, for JSON and YAML; the manual page has its structure.

An element is an object: `value` (its text), `origin`, `holds_for`, then its attributes and
children by name. An attribute is an object of `value` and `origin`. A child that may stand
several times is a list even where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kiwilite.description.show.elements import Condition, Element, Shown, Value
from kiwilite.description.vocabulary import ElementForm, vocabulary

UNITED = ("preferences", "profiles", "type")
"""Sections and elements that may stand several times, and of which one is left."""


def data(what: Shown) -> dict[str, Any]:
    """`what` as plain data, in a fixed order."""
    words = vocabulary()
    return {
        "file": str(what.file),
        "schemaversion": what.schemaversion,
        "arch": what.arch,
        "type": what.type,
        "profiles": list(what.profiles),
        "image": _element(what.image, words.elements[words.root]),
        "overlay_trees": list(what.overlay_trees),
        "scripts": list(what.scripts),
    }


def _element(element: Element, form: ElementForm | None) -> dict[str, Any]:
    body: dict[str, Any] = {} if element.text is None else {"value": element.text}
    body["origin"] = str(element.origin)
    if element.condition.profiles or element.condition.arch:
        body["holds_for"] = _condition(element.condition)
    body |= {value.name: _value(value) for value in element.attributes}
    for child in element.children:
        child_form = vocabulary().child(form, child.name) if form else None
        shown = _element(child, child_form)
        if _may_repeat(form, child.name):
            body.setdefault(child.name, []).append(shown)
        else:
            body[child.name] = shown
    return body


def _may_repeat(form: ElementForm | None, name: str) -> bool:
    """Whether an element with `form` may have several children `name`, once all is resolved."""
    if form is None or name not in form.children:
        return True
    return form.children[name].most is None and name not in UNITED


def _value(value: Value) -> dict[str, Any]:
    if value.text is None:
        return {"value": None, "secret": True, "origin": str(value.origin)}
    return {"value": value.text, "origin": str(value.origin)}


def _condition(condition: Condition) -> Mapping[str, Any]:
    body: dict[str, Any] = {}
    if condition.profiles:
        body["profiles"] = list(condition.profiles)
    if condition.arch:
        body["arch"] = condition.arch
    return body
