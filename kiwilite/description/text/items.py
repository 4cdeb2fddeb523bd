"""A document as nested items: what stands in it, and how many line breaks before each."""

from __future__ import annotations

from dataclasses import dataclass, field

from kiwilite.description.text.tokens import Kind, Token, attributes, tag_name, tokens

_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Written:
    """An attribute: its name, its raw value with the quotes, whether it begins a line."""

    name: str
    value: str
    begins_line: bool


@dataclass(frozen=True, slots=True)
class Mark:
    """A comment or processing instruction."""

    kind: Kind
    start: int
    end: int
    breaks: int


@dataclass(slots=True)
class Data:
    """Text, references and CDATA sections in a row, without the white space around them."""

    start: int
    end: int
    breaks: int


@dataclass(slots=True)
class Element:
    """An element; its content is the bytes from `start` to `end`."""

    name: str
    attributes: tuple[Written, ...]
    start: int
    end: int
    breaks: int
    items: list[Item] = field(default_factory=list)


Item = Element | Mark | Data


def read_items(text: bytes) -> list[Item]:
    """The items of a document that the reader has found well-formed."""
    outside: list[Item] = []
    open_elements: list[Element] = []
    here = outside
    breaks = 0
    for token in tokens(text):
        match token.kind:
            case Kind.TEXT | Kind.CDATA:
                breaks = _add_data(text, token, here, breaks)
                continue
            case Kind.COMMENT | Kind.INSTRUCTION:
                here.append(Mark(token.kind, token.start, token.end, breaks))
            case Kind.START | Kind.EMPTY:
                element = _element(text, token, breaks)
                here.append(element)
                if token.kind is Kind.START:
                    open_elements.append(element)
                    here = element.items
            case Kind.END:
                open_elements.pop().end = token.start
                here = open_elements[-1].items if open_elements else outside
            case Kind.REST:
                raise ValueError(f"not well-formed at byte {token.start}")
        breaks = 0
    return outside


def _add_data(text: bytes, token: Token, here: list[Item], breaks: int) -> int:
    """Add the text of `token` to the items `here`; returns the line breaks after it."""
    raw = text[token.start : token.end]
    last = here[-1] if here else None
    # what is between two pieces of data is data too; nothing else separates them
    run = last if isinstance(last, Data) else None
    if token.kind is Kind.CDATA:
        start = end = 0
    else:
        start = len(raw) - len(raw.lstrip(_BLANK))
        end = len(raw) - len(raw.rstrip(_BLANK))
        if start == len(raw):
            return breaks + raw.count(b"\n")
    if run is None:
        before = breaks + raw.count(b"\n", 0, start)
        here.append(Data(token.start + start, token.end - end, before))
    else:
        run.end = token.end - end
    return raw.count(b"\n", len(raw) - end)


def _element(text: bytes, token: Token, breaks: int) -> Element:
    written = tuple(
        Written(
            attribute.name,
            text[attribute.value - 1 : attribute.end].decode(),
            b"\n" in text[attribute.space : attribute.start],
        )
        for attribute in attributes(text, token.start)
    )
    return Element(tag_name(text, token.start), written, token.end, token.end, breaks)
