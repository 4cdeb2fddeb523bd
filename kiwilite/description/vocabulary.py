"""The grammar as data: which attributes and children each element has.

Read from the same `kiwilite.rng` that validates, so there is one list of names. It
understands what `kiwilite.rnc` makes use of and refuses a grammar that uses more.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from lxml import etree

from kiwilite.description import schema
from kiwilite.description.reader import XML_SPACE

_RNG = "{http://relaxng.org/ns/structure/1.0}"
_DOC = "{http://relaxng.org/ns/compatibility/annotations/1.0}documentation"
_IMAGES = "{urn:kiwilite:grammar}images"
_OWN = "{urn:kiwilite:grammar}own"

_LIST = re.compile(r"(?:[A-Za-z0-9_-]+|[(|)*, :])+")
"""A pattern that lists words, and in what follows what."""

_WORD = re.compile(r"[A-Za-z0-9_-]+")

_LEXICAL = {
    "boolean": r"true|false|1|0",
    "integer": r"[+-]?[0-9]+",
    "nonNegativeInteger": r"\+?[0-9]+|-0+",
    "token": r".*",
    "anyURI": r".*",
}


@dataclass(frozen=True, slots=True)
class Datatype:
    """An XML Schema datatype with its facets."""

    name: str
    pattern: str | None = None
    least: int | None = None

    def allows(self, value: str) -> bool:
        """Whether `value`, its white space collapsed, belongs to the type."""
        if not re.fullmatch(_LEXICAL[self.name], value, re.DOTALL):
            return False
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            return False
        return self.least is None or len(value) > 15 or int(value) >= self.least


@dataclass(frozen=True, slots=True)
class ValueType:
    """What a value may be: any text, one of `literals`, or of one of `datatypes`."""

    any_text: bool = False
    literals: tuple[str, ...] = ()
    datatypes: tuple[Datatype, ...] = ()
    doc: str | None = None

    def allows(self, value: str) -> bool:
        """Whether `value` is legal."""
        if self.any_text:
            return True
        token = " ".join(value.strip(XML_SPACE).split())
        return token in self.literals or any(d.allows(token) for d in self.datatypes)

    def words(self) -> tuple[str, ...]:
        """The words that values are made of, as far as the type lists them."""
        patterns = [d.pattern for d in self.datatypes if d.pattern and _LIST.fullmatch(d.pattern)]
        found = [word for pattern in patterns for word in _WORD.findall(pattern)]
        return (*self.literals, *dict.fromkeys(found))

    def united(self, other: ValueType) -> ValueType:
        """Either of the two."""
        return ValueType(
            self.any_text or other.any_text,
            self.literals + other.literals,
            self.datatypes + other.datatypes,
            self.doc or other.doc,
        )


@dataclass(frozen=True, slots=True)
class AttributeForm:
    """An attribute of one element; `images` are the image types it belongs to, or ().

    `own`: it is kiwilite's own, KIWI does not know it.
    """

    name: str
    required: bool
    value: ValueType
    doc: str
    images: tuple[str, ...]
    own: bool


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Attributes of which one excludes the others; `required`: one of them must stand."""

    names: tuple[str, ...]
    required: bool


@dataclass(frozen=True, slots=True)
class ChildForm:
    """How often a child may stand; `most` is None where there is no limit."""

    definition: str
    least: int
    most: int | None


@dataclass(slots=True)
class ElementForm:
    """One element; `text` is None where it has none. `foreign`: children of other namespaces.

    `own`: it is kiwilite's own, KIWI does not know it.
    """

    name: str
    doc: str = ""
    own: bool = False
    attributes: dict[str, AttributeForm] = field(default_factory=dict)
    children: dict[str, ChildForm] = field(default_factory=dict)
    alternatives: tuple[Alternatives, ...] = ()
    text: ValueType | None = None
    namespaces: tuple[str, ...] = ()
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All elements by definition name; `root` is the definition of the outermost one."""

    root: str
    elements: Mapping[str, ElementForm]

    def child(self, parent: ElementForm, name: str) -> ElementForm | None:
        """The form of child `name` of `parent`."""
        found = parent.children.get(name)
        return self.elements[found.definition] if found else None

    def parents(self, name: str) -> tuple[str, ...]:
        """Names of the elements that may hold `name`."""
        return tuple(e.name for e in self.elements.values() if name in e.children)


@lru_cache(maxsize=1)
def vocabulary() -> Vocabulary:
    """The vocabulary of the committed grammar."""
    root = schema.grammar().getroot()
    definitions = {d.get("name", ""): d for d in root.iter(f"{_RNG}define")}
    start = root.find(f"{_RNG}start/{_RNG}ref")
    assert start is not None
    elements: dict[str, ElementForm] = {}
    for name, definition in definitions.items():
        element = definition.find(f"{_RNG}element")
        if element is None or element.get("name") is None:
            continue
        form = ElementForm(element.get("name", ""), _doc(definition), _own(definition))
        for pattern in _patterns(element):
            _collect(pattern, 1, 1, form, definitions)
        elements[name] = form
    return Vocabulary(start.get("name", ""), elements)


def _doc(element: etree._Element) -> str:
    return element.findtext(_DOC, "")


def _own(element: etree._Element) -> bool:
    return element.get(_OWN) == "true"


def _patterns(element: etree._Element) -> Iterator[etree._Element]:
    return (child for child in element if child.tag != _DOC)


def _collect(
    pattern: etree._Element,
    least: int,
    most: int | None,
    form: ElementForm,
    definitions: Mapping[str, etree._Element],
) -> None:
    """Add what `pattern` allows between `least` and `most` times to `form`."""
    match str(pattern.tag).removeprefix(_RNG):
        case "group" | "interleave":
            bounds = least, most
        case "optional":
            bounds = 0, most
        case "zeroOrMore":
            bounds = 0, None
        case "oneOrMore":
            bounds = least, None
        case "attribute":
            _add_attribute(pattern, least > 0, form, definitions)
            return
        case "choice" if pattern.find(f"{_RNG}attribute") is not None:
            for inner in _patterns(pattern):
                _add_attribute(inner, False, form, definitions)
            names = tuple(inner.get("name", "") for inner in _patterns(pattern))
            form.alternatives += (Alternatives(names, least > 0),)
            return
        case "ref":
            _add_reference(pattern.get("name", ""), least, most, form, definitions)
            return
        case _:
            value = _value(pattern, definitions)
            form.text = value if form.text is None else form.text.united(value)
            if value == ValueType():
                form.text = None
            return
    for inner in _patterns(pattern):
        _collect(inner, *bounds, form, definitions)


def _add_attribute(
    pattern: etree._Element,
    required: bool,
    form: ElementForm,
    definitions: Mapping[str, etree._Element],
) -> None:
    inner = list(_patterns(pattern))
    if inner and inner[0].tag == f"{_RNG}nsName":
        form.namespaces += (inner[0].get("ns", ""),)
        return
    value = _value(inner[0], definitions) if inner else ValueType(any_text=True)
    name = pattern.get("name", "")
    images = tuple(pattern.get(_IMAGES, "").split())
    form.attributes[name] = AttributeForm(
        name, required, value, _doc(pattern), images, _own(pattern)
    )


def _add_reference(
    name: str,
    least: int,
    most: int | None,
    form: ElementForm,
    definitions: Mapping[str, etree._Element],
) -> None:
    element = definitions[name].find(f"{_RNG}element")
    if element is None:
        form.text = _named(definitions[name], definitions)
    elif (child := element.get("name")) is None:
        form.foreign = True
    else:
        form.children[child] = ChildForm(name, least, most)


def _value(pattern: etree._Element, definitions: Mapping[str, etree._Element]) -> ValueType:
    """The values that `pattern` allows; `empty` allows none."""
    match str(pattern.tag).removeprefix(_RNG):
        case "text":
            return ValueType(any_text=True)
        case "empty":
            return ValueType()
        case "value":
            return ValueType(literals=(pattern.text or "",))
        case "data":
            facets = {p.get("name"): p.text or "" for p in pattern.iter(f"{_RNG}param")}
            least = facets.get("minInclusive")
            datatype = Datatype(
                pattern.get("type", ""),
                facets.get("pattern"),
                None if least is None else int(least),
            )
            return ValueType(datatypes=(datatype,))
        case "choice":
            united = ValueType()
            for inner in _patterns(pattern):
                united = united.united(_value(inner, definitions))
            return united
        case "ref":
            return _named(definitions[pattern.get("name", "")], definitions)
        case other:
            raise ValueError(f"the grammar uses `{other}`, which the vocabulary cannot read")


def _named(definition: etree._Element, definitions: Mapping[str, etree._Element]) -> ValueType:
    """The value type that `definition` gives a name and a comment."""
    value = _value(next(_patterns(definition)), definitions)
    return replace(value, doc=_doc(definition) or None)
