"""What to do about a mistake against the grammar: one hint for each, the most telling one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kiwilite.description import suggest
from kiwilite.description.reader import XML_SPACE
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import dropped_since
from kiwilite.description.vocabulary import ElementForm, ValueType, Vocabulary

HOMES: Final = 3
"""So many elements are named that have what is not legal here."""

_TRUE: Final = frozenset(("yes", "on", "enable", "enabled", "t", "y"))
_FALSE: Final = frozenset(("no", "off", "disable", "disabled", "f", "n"))
_UNIT: Final = re.compile(r"\s*([MG])i?B?\s*$", re.IGNORECASE)


def for_attribute(node: Node, name: str, form: ElementForm, words: Vocabulary) -> str:
    """For attribute `name` of `node`, which has none of that name."""
    free = [known for known in form.attributes if known not in node.attributes]
    if name.startswith("{"):
        name = name.rpartition("}")[2]
    return (
        dropped_since(node.name, name)
        or suggest.hint(name, free)
        or _elsewhere(name, words)
        or suggest.legal("its attributes are", free)
        or f"remove it; `<{node.name}>` has no {'other ' if form.attributes else ''}attributes"
    )


def _elsewhere(name: str, words: Vocabulary) -> str | None:
    homes = [form.name for form in words.elements.values() if name in form.attributes]
    if not homes:
        return None
    listed = " and ".join(f"`<{home}>`" for home in homes[:HOMES])
    more = f" and {len(homes) - HOMES} more" if len(homes) > HOMES else ""
    return f"it is an attribute of {listed}{more}"


def for_element(child: Node, form: ElementForm, words: Vocabulary) -> str:
    """For `child`, which stands in an element that has none of that name, nor of a near one."""
    if child.name.startswith("{"):
        return "elements of other namespaces belong into `<extension>`"
    if homes := words.parents(child.name):
        return "it belongs into " + " or ".join(f"`<{home}>`" for home in homes)
    children = suggest.legal("its children are", list(form.children))
    return children or f"remove it; `<{form.name}>` has no children"


def for_value(text: str, legal: ValueType, doc: str) -> str | None:
    """For the value `text`, which is not `legal`: what was meant, else what the value is for."""
    for meant in _nearby(text.strip(XML_SPACE)):
        if legal.allows(meant):
            return f"did you mean `{meant}`?"
    words = legal.words()
    wrong = [part for part in re.split("[ ,:]", text) if part and part not in words]
    return (suggest.hint(wrong[0], words) if wrong else None) or doc or None


def _nearby(text: str) -> Iterator[str]:
    """Other ways to write what may be meant by `text`."""
    lower = text.lower()
    if lower in _TRUE:
        yield "true"
    if lower in _FALSE:
        yield "false"
    if not text:
        return
    yield lower
    yield text.upper()
    yield lower.replace("-", "_")
    yield lower.replace("_", "-")
    yield re.sub(r"\s+", "", text)
    yield re.sub(r"\s*[,;]\s*", ",", text)
    yield re.sub(r"[\s;]+", ",", text)
    yield re.sub(r"[\s,;]+", " ", text)
    if found := _UNIT.search(text):
        yield text[: found.start()] + found[1].upper()
        yield text[: found.start()]


def for_text(node: Node, form: ElementForm) -> str:
    """For text in `node`, which holds none."""
    if form.children:
        return "remove it, or make a comment of it: `<!-- … -->`"
    return f"write it as an attribute: `<{node.name} …/>`"


def for_duplicate(extra: Node, form: ElementForm) -> str:
    """For a further `extra` in an element that holds just one."""
    if form.name == "preferences":
        return "remove one, or put it into a `<preferences>` with `profiles=` of its own"
    if extra.children:
        return "remove one, or put the contents of both into the first"
    return "remove one of the two"
