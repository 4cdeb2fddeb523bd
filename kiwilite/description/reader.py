"""From the bytes of one file to a tree of `Node`s; what is not well-formed is explained.

Expat reads every token with its byte offset, which is the only way to exact columns.
A document type is refused at its first character, so there are no entities to expand
and nothing to fetch; depth and number of nodes are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.source import Source, failure
from kiwilite.description.tree import Node

MAX_DEPTH = 64
MAX_NODES = 100_000
"""Elements and attributes together."""

MAX_CHILDREN = 20_000
"""In one element: libxml2 takes quadratic time over siblings whose order is free."""

MAX_ATTRIBUTES = 256
"""In one tag; `<type>` has about a hundred to offer."""

XML_SPACE = " \t\r\n"

_NAME = re.compile(rb"[^\s<>/=\"']+")
_ENTITY = re.compile(rb"&([^;\s<&]*);?")

_ESCAPE_HINT = 'write `&amp;` for "&" and `&lt;` for "<"'


@dataclass(slots=True)
class _Open:
    """An element whose end tag has not come yet."""

    name: str
    attributes: dict[str, str]
    offset: int
    children: list[Node] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    text_offset: int = -1


class _Builder:
    """Expat's handlers; the finished tree is in `root`."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.open: list[_Open] = []
        self.root: Node | None = None
        self.nodes = 0
        self.parser = parser = expat.ParserCreate("utf-8", " ")
        parser.namespace_prefixes = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.characters
        parser.StartDoctypeDeclHandler = self.doctype

    def start(self, name: str, attributes: dict[str, str]) -> None:
        offset = self.parser.CurrentByteIndex
        self.nodes += 1 + len(attributes)
        limits = (
            (len(self.open) >= MAX_DEPTH, f"more than {MAX_DEPTH} levels"),
            (len(attributes) > MAX_ATTRIBUTES, f"a tag with more than {MAX_ATTRIBUTES} attributes"),
            (
                bool(self.open) and len(self.open[-1].children) >= MAX_CHILDREN,
                f"an element with more than {MAX_CHILDREN} children",
            ),
            (self.nodes > MAX_NODES, f"more than {MAX_NODES} elements and attributes"),
        )
        for exceeded, what in limits:
            if exceeded:
                raise failure(self.source.span(offset), "KL0002", f"the description has {what}")
        clark = {_clark(key): value for key, value in attributes.items()}
        self.open.append(_Open(_clark(name), clark, offset))

    def end(self, name: str) -> None:
        done = self.open.pop()
        node = Node(
            done.name,
            done.attributes,
            tuple(done.children),
            "".join(done.text),
            self.source,
            done.offset,
            done.text_offset,
        )
        if self.open:
            self.open[-1].children.append(node)
        else:
            self.root = node

    def characters(self, text: str) -> None:
        here = self.open[-1]
        here.text.append(text)
        if here.text_offset < 0 and text.strip(XML_SPACE):
            leading = len(text) - len(text.lstrip(XML_SPACE))
            here.text_offset = self.parser.CurrentByteIndex + leading

    def doctype(self, *_: object) -> NoReturn:
        # expat calls when it has read the name and the external identifier
        at = self.source.text.rfind(b"<!DOCTYPE", 0, self.parser.CurrentByteIndex + 9)
        raise failure(
            self.source.span(at),
            "KL0005",
            "a document type, which could define entities, is refused",
            "remove the `<!DOCTYPE …>`; parts of other files come in with `<include>`",
        )


def _clark(name: str) -> str:
    """Expat's "uri local prefix" as "{uri}local"."""
    uri, space, rest = name.partition(" ")
    return f"{{{uri}}}{rest.partition(' ')[0]}" if space else name


def parse(source: Source) -> Node:
    """The root element of `source`.

    Raises DescriptionInvalid with one diagnostic at the place where the text stops
    being well-formed, has a document type, or exceeds MAX_DEPTH or MAX_NODES.
    """
    builder = _Builder(source)
    try:
        builder.parser.Parse(source.text, True)
    except expat.ExpatError as error:
        raise _explain(error.code, builder) from None
    assert builder.root is not None  # expat reports a document without elements
    return builder.root


def _explain(code: int, builder: _Builder) -> DescriptionInvalid:
    """The diagnostic for expat's error `code`."""
    at = max(0, builder.parser.ErrorByteIndex)
    if code == _CODES["XML_ERROR_TAG_MISMATCH"]:
        return _mismatch(builder, at)
    if code in (_CODES["XML_ERROR_NO_ELEMENTS"], _CODES["XML_ERROR_UNCLOSED_TOKEN"]):
        return _unfinished(builder, at)
    text = builder.source.text
    entity = _ENTITY.match(text, at)
    word = entity[1].decode("utf-8", "replace") if entity else ""
    name = _NAME.match(text, at)
    messages = {
        "XML_ERROR_DUPLICATE_ATTRIBUTE": (
            "KL0008",
            f"the attribute `{name[0].decode('utf-8', 'replace') if name else ''}` stands twice "
            "in this tag",
            "remove one of the two",
        ),
        "XML_ERROR_UNDEFINED_ENTITY": (
            "KL0007",
            f"the entity `&{word};` is not defined",
            "write the character itself, or `&amp;` for a plain ampersand",
        ),
        "XML_ERROR_BAD_CHAR_REF": ("KL0004", "a reference to a character XML forbids", None),
        "XML_ERROR_UNBOUND_PREFIX": (
            "KL0007",
            "a name in this tag has a prefix that no `xmlns:` declares",
            'declare it, for example xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
        ),
        "XML_ERROR_JUNK_AFTER_DOC_ELEMENT": (
            "KL0007",
            "something follows the end of the document's element",
            "a file has exactly one outermost element",
        ),
        "XML_ERROR_SYNTAX": ("KL0007", "text stands outside of any element", None),
        "XML_ERROR_MISPLACED_XML_PI": (
            "KL0007",
            "the XML declaration is not at the very start of the file",
            "remove what stands before `<?xml`",
        ),
        "XML_ERROR_INVALID_TOKEN": _invalid_token(text, at),
    }
    by_code = {_CODES[key]: value for key, value in messages.items()}
    fallback = ("KL0007", f"this is not well-formed XML: {expat.ErrorString(code)}", None)
    kl, message, hint = by_code.get(code, fallback)
    return failure(builder.source.span(at), kl, message, hint)


_CODES = {
    name: expat.errors.codes[getattr(expat.errors, name)]
    for name in dir(expat.errors)
    if name.startswith("XML_ERROR_")
}


def _mismatch(builder: _Builder, at: int) -> DescriptionInvalid:
    text = builder.source.text
    if text[at - 2 : at] == b"</":
        at -= 2
    found = _NAME.match(text, at + 2)
    closing = found[0].decode("utf-8", "replace") if found else ""
    innermost = builder.open[-1]
    line = builder.source.span(innermost.offset).line
    opened = _written_name(text, innermost.offset)
    return failure(
        builder.source.span(at),
        "KL0006",
        f"`<{opened}>` opened at line {line} is closed by `</{closing}>`",
        f"close it with `</{opened}>`",
    )


def _unfinished(builder: _Builder, at: int) -> DescriptionInvalid:
    text = builder.source.text
    here = builder.source.span(at)
    if at < len(text):
        return failure(here, "KL0007", "a tag, comment or section begins here and never ends")
    if not builder.open:
        return failure(here, "KL0007", "the file has no element", "it should have an `<image>`")
    innermost = builder.open[-1]
    opened = _written_name(text, innermost.offset)
    line = builder.source.span(innermost.offset).line
    return failure(
        here,
        "KL0006",
        f"`<{opened}>` opened at line {line} is never closed",
        f"close it with `</{opened}>`",
    )


def _invalid_token(text: bytes, at: int) -> tuple[str, str, str | None]:
    """What stands at `at` that XML has no token for."""
    here = text[at : at + 1]
    if here and here[0] < 0x20 and here not in b"\t\n\r":
        return "KL0004", f"character U+{here[0]:04X}, which XML forbids", "remove it"
    if text[at - 1 : at] == b"&":
        return "KL0007", "a plain `&` begins an entity in XML", _ESCAPE_HINT
    if here == b"<":
        return (
            "KL0007",
            "a `<` inside a tag: the tag or an attribute's value before it is not finished",
            'close the tag with ">" and the value with its quote; ' + _ESCAPE_HINT,
        )
    previous = text[at - 1 : at]
    if previous in (b'"', b"'"):
        return "KL0007", "white space is missing between two attributes", None
    before = text[max(0, at - 64) : at].rstrip()
    for ending, message, hint in _AFTER:
        if before.endswith(ending):
            return "KL0007", message, hint
    shown = here.decode("ascii", "replace")
    what = f"`{shown}` is not allowed here" if shown.isprintable() else "a character not allowed"
    return "KL0007", f"this is not well-formed XML: {what}", None


_AFTER = (
    (b"=", "an attribute's value needs quotes", 'write name="value"'),
    (b"--", "a comment must not contain `--`", None),
)


def _written_name(text: bytes, offset: int) -> str:
    found = _NAME.match(text, offset + 1)
    return found[0].decode("utf-8", "replace") if found else ""
