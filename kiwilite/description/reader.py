"""From the bytes of one file to a tree of `Node`s; what is not well-formed is explained.

Expat reads every token with its byte offset, which is the only way to exact columns.
A document type is refused at its first character, so there are no entities to expand
and nothing to fetch; depth and number of nodes are bounded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from kiwilite.description.malformed import explain
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
        opened = [element.offset for element in builder.open]
        raise explain(error.code, builder.parser.ErrorByteIndex, source, opened) from None
    assert builder.root is not None  # expat reports a document without elements
    return builder.root
