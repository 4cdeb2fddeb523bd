"""Descriptions with exactly one mistake against the grammar each, of many kinds, everywhere.

Each holds one element of the vocabulary in its place, with all its attributes, and around
it only what is mandatory; so a few milliseconds judge it, and all of them can be judged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from full_description import full_description, legal_value
from lxml import etree

from kiwilite.description.vocabulary import ElementForm, Vocabulary, vocabulary

Element = etree._Element
_XML = "{http://www.w3.org/XML/1998/namespace}"

WRONG = "~~"
"""Fits no value type but free text."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """`kind` says what is wrong, `where` names element and attribute; each tag has lines of
    its own: one for its name and one for each attribute."""

    kind: str
    where: str
    text: str


def layout(root: Element) -> str:
    """`root` with a line for each tag's name and for each attribute; text stays unbroken."""
    lines: list[str] = []
    _lay_out(root, lines)
    return "\n".join(lines) + "\n"


def _lay_out(element: Element, lines: list[str]) -> None:
    name = str(element.tag)
    lines.append(f"<{name}")
    for key, value in _attributes(element).items():
        lines.append(f'{key.replace(_XML, "xml:")}="{value}"')
    lines[-1] += ">" if len(element) or element.text else "/>"
    if element.text:
        lines[-1] += element.text
    for child in element:
        if str(child.tag).startswith("{"):
            lines.append(etree.tostring(child, encoding="unicode").strip())
        else:
            _lay_out(child, lines)
    if len(element):
        lines.append(f"</{name}>")
    elif element.text:
        lines[-1] += f"</{name}>"


def _attributes(element: Element) -> dict[str, str]:
    return {str(key): str(value) for key, value in element.attrib.items()}


def _filled(form: ElementForm, words: Vocabulary, chosen: str = "") -> Element:
    """The element with its mandatory children and all its attributes.

    Of attributes that exclude each other it has the first, or `chosen`.
    """
    element = etree.Element(form.name)
    excluded = {name for group in form.alternatives for name in _others(group.names, chosen)}
    for attribute in form.attributes.values():
        if attribute.name not in excluded:
            element.set(attribute.name, legal_value(attribute.value))
    if form.text is not None:
        element.text = legal_value(form.text)
    for child in form.children.values():
        if child.least:
            element.append(_filled(words.elements[child.definition], words))
    if form.foreign:
        element.append(etree.Element("{urn:example}data"))
    return element


def _others(names: tuple[str, ...], chosen: str) -> tuple[str, ...]:
    kept = chosen if chosen in names else names[0]
    return tuple(name for name in names if name != kept)


Path = tuple[ElementForm, ...]
"""From the root to an element."""


def paths(words: Vocabulary) -> Iterator[Path]:
    """Every place that an element may have. An include is not one: it is put in before."""

    def below(path: Path) -> Iterator[Path]:
        yield path
        for child in path[-1].children.values():
            if child.definition != "include":
                yield from below((*path, words.elements[child.definition]))

    yield from below((words.elements[words.root],))


def sample(path: Path, chosen: str = "") -> tuple[Element, Element]:
    """A valid description that holds the last element of `path`; and that element.

    `chosen` is an attribute that the element shall have, if others exclude it.
    """
    words = vocabulary()
    root = here = _filled(path[0], words, chosen)
    for form in path[1:]:
        there = _filled(form, words, chosen)
        found = here.find(form.name)
        if found is None:
            here.append(there)
        else:
            here.replace(found, there)
        here = there
    return root, here


Mutation = Callable[[Element], None]


def mutations(path: Path) -> Iterator[tuple[str, str, Mutation]]:
    """Kind, place and deed of each mistake that is possible at the end of `path`."""
    form = path[-1]
    yield from _of_attributes(form)
    yield "attribute of another namespace", "xml:lang", lambda e: e.set(f"{_XML}lang", "de")
    if not form.foreign:
        yield "unknown element", "stray", lambda e: e.insert(0, etree.Element("stray"))
    if form.text is None:
        yield "text where none is allowed", "", _with_text
    elif not form.text.any_text:
        yield "wrong text", "", lambda e: setattr(e, "text", WRONG)
    if len(path) == 1:
        yield "another root", "", lambda e: setattr(e, "tag", "imag")
        return
    limits = path[-2].children[form.name]
    yield "misspelt element", "", lambda e: setattr(e, "tag", f"{form.name}x")
    if limits.least:
        yield "missing element", "", _without
    if limits.most == 1:
        yield "element twice", "", _twice
    if form.name not in path[0].children:
        yield "element in the wrong place", "", _moved_to_the_top


def _of_attributes(form: ElementForm) -> Iterator[tuple[str, str, Mutation]]:
    for attribute in form.attributes.values():
        name = attribute.name
        yield "misspelt attribute", name, _renamed(name)
        if attribute.required:
            yield "missing attribute", name, _without_attribute(name)
        if not attribute.value.any_text:
            yield "wrong value", name, _with_value(name, WRONG)
            if attribute.value.literals:
                word = legal_value(attribute.value)
                yield "word with another letter", name, _with_value(name, f"{word}x")

    for group in form.alternatives:
        first, second = group.names[:2]
        value = legal_value(form.attributes[second].value)
        yield "attributes that exclude each other", first, _with_value(second, value)
        if group.required:
            yield "none of several attributes", first, _without_attribute(first)


def _renamed(name: str) -> Mutation:
    def deed(element: Element) -> None:
        rows = _attributes(element)
        element.attrib.clear()
        for key, value in rows.items():
            element.set(f"{key}x" if key == name else key, value)

    return deed


def _without_attribute(name: str) -> Mutation:
    def deed(element: Element) -> None:
        del element.attrib[name]

    return deed


def _with_value(name: str, value: str) -> Mutation:
    return lambda element: element.set(name, value)


def _with_text(element: Element) -> None:
    element.text = "stray text"


def _without(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)


def _twice(element: Element) -> None:
    parent = element.getparent()
    assert parent is not None
    again = etree.fromstring(etree.tostring(element))
    again.tail = None
    parent.append(again)


def _moved_to_the_top(element: Element) -> None:
    root = element.getroottree().getroot()
    root.append(etree.fromstring(etree.tostring(element)))


def valid_descriptions() -> Iterator[Faulty]:
    """One for every place of an element, without a mistake; then the one with everything."""
    for path in paths(vocabulary()):
        yield Faulty("valid", "/".join(form.name for form in path), layout(sample(path)[0]))
    # nXML takes a pattern's text with the white space around it, so none is there
    whole = re.sub(r"^(>.+)\n</", r"\1</", full_description(), flags=re.MULTILINE)
    yield Faulty("valid", "everything", whole)


def faulty_descriptions() -> Iterator[Faulty]:
    """Every mistake of every kind, at every place."""
    for path in paths(vocabulary()):
        place = "/".join(form.name for form in path)
        for kind, name, deed in mutations(path):
            root, element = sample(path, name)
            deed(element)
            yield Faulty(kind, f"{place}@{name}" if name else place, layout(root))
