"""Elements of a description with their places in the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kiwilite.description.model import Span
from kiwilite.description.source import Source
from kiwilite.description.text.tokens import Attribute, attributes, tag_name


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One element: names are local ones, or `{namespace}local` where there is a namespace.

    `offset` is the byte of the `<` in `source.text`; `text_offset` that of the first
    character directly inside that is not white space, or -1. `renamed` maps an
    attribute that an upgrade renamed to its name in the file.
    """

    name: str
    attributes: Mapping[str, str]
    children: tuple[Node, ...]
    text: str
    source: Source
    offset: int
    text_offset: int = -1
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def span(self) -> Span:
        """Where the start tag begins."""
        return self.source.span(self.offset)

    @property
    def file(self) -> Path:
        """The file it stands in, which may be an included one."""
        return self.source.file

    def attribute_span(self, name: str) -> Span:
        """Where attribute `name` begins, or the start tag if it has none of that name."""
        found = self._written(name)
        return self.source.span(found.start) if found else self.span

    def written(self, name: str) -> str:
        """Attribute `name` as it is written, with its prefix or by its older name."""
        found = self._written(name)
        return found.name if found else name.rpartition("}")[2]

    def _written(self, name: str) -> Attribute | None:
        """Attribute `name` in the text."""
        written = self.renamed.get(name, name)
        local = written.rpartition("}")[2]
        prefixed = written.startswith("{")
        for found in attributes(self.source.text, self.offset):
            if found.name == written or (prefixed and found.name.endswith(f":{local}")):
                return found
        return None

    def written_name(self) -> str:
        """Its name as it is written, with its prefix."""
        return tag_name(self.source.text, self.offset) or self.name.rpartition("}")[2]

    def get(self, name: str) -> str | None:
        """Value of attribute `name` without surrounding white space, or None."""
        value = self.attributes.get(name)
        return None if value is None else value.strip()

    def all(self, *names: str) -> Iterator[Node]:
        """Children with one of `names`, in document order."""
        return (child for child in self.children if child.name in names)

    def first(self, name: str) -> Node | None:
        """The first child `name`, or None."""
        return next(self.all(name), None)

    def walk(self) -> Iterator[Node]:
        """This element and all below it, in document order."""
        yield self
        for child in self.children:
            yield from child.walk()
