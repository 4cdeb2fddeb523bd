"""What an element says, as far as the mistakes in it let one tell.

A rule that looks at another attribute or child must not complain about one that is there,
but misspelt: that mistake is reported already, where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kiwilite.description import suggest
from kiwilite.description.reader import XML_SPACE
from kiwilite.description.tree import Node
from kiwilite.description.vocabulary import vocabulary


def value(node: Node, name: str) -> str | None:
    """Attribute `name` without surrounding white space, "" where there is none.

    None where nothing can be told: its value is illegal, or its name misspelt.
    """
    text = node.attributes.get(name)
    if text is None:
        return None if _meant(name, node.attributes, _attributes(node)) else ""
    form = vocabulary().elements[node.name].attributes[name]
    return text.strip(XML_SPACE) if form.value.allows(text) else None


def lacks_attribute(node: Node, name: str) -> bool:
    """Whether attribute `name` is missing, and no misspelt one is meant to be it."""
    return name not in node.attributes and not _meant(name, node.attributes, _attributes(node))


def lacks_child(node: Node, name: str) -> bool:
    """Whether there is no child `name`, and no misspelt one that is meant to be it."""
    children = [child.name for child in node.children]
    legal = vocabulary().elements[node.name].children
    return name not in children and not _meant(name, children, legal)


def meant_values(node: Node, child: str, name: str) -> Iterator[str]:
    """Attribute `name` of each `child`, misspelt ones too; "" where either is missing."""
    form = vocabulary().elements[child]
    found = [n for n in node.children if suggest.nearest(n.name, [child]) is not None]
    if not found:
        yield ""
    for inner in found:
        near = suggest.nearest(name, [n for n in inner.attributes if n not in form.attributes])
        yield inner.get(name) or (near and inner.get(near)) or ""


def _attributes(node: Node) -> Iterable[str]:
    return vocabulary().elements[node.name].attributes


def _meant(name: str, written: Iterable[str], legal: Iterable[str]) -> bool:
    known = set(legal)
    unknown = [word for word in written if word not in known]
    return any(suggest.nearest(word, known) == name for word in unknown)
