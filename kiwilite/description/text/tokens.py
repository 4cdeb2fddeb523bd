"""The text of a file as a sequence of tokens that give back the same bytes.

Meant for text that the reader has found well-formed; of any other text the tokens are
still all there, the last of them being what could not be told apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a token is."""

    TEXT = "text"
    START = "start tag"
    EMPTY = "tag of an empty element"
    END = "end tag"
    COMMENT = "comment"
    CDATA = "CDATA section"
    INSTRUCTION = "processing instruction or XML declaration"
    REST = "what is not well-formed, to the end of the file"


@dataclass(frozen=True, slots=True)
class Token:
    """One token: the bytes from `start` to `end` of the text."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: offsets of the white space before it, its name, and its value.

    `name` is as written, with its prefix; the value lies between its quotes, which are
    the bytes before `value` and at `value_end`.
    """

    space: int
    name: str
    start: int
    value: int
    value_end: int

    @property
    def end(self) -> int:
        """The byte after the closing quote."""
        return self.value_end + 1


# Quantifiers are possessive (`*+`), so a tag without an end costs one pass over the text.
_TOKEN = re.compile(
    rb"""
    (?P<TEXT>[^<]+)
    | (?P<COMMENT><!--.*?-->)
    | (?P<CDATA><!\[CDATA\[.*?\]\]>)
    | (?P<INSTRUCTION><\?.*?\?>)
    | (?P<END></[^<>]*>)
    | (?P<START><[^\s<>/!?"'][^<>"']*+(?:(?:"[^"<]*"|'[^'<]*')[^<>"']*+)*+>)
    """,
    re.DOTALL | re.VERBOSE,
)
_TAG_NAME = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE = re.compile(rb"""(\s*)([^\s=/>]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")


def tokens(text: bytes, start: int = 0) -> Iterator[Token]:
    """The tokens of `text` from byte `start` on, which is where one begins."""
    at = start
    while found := _TOKEN.match(text, at):
        kind = Kind[found.lastgroup or "REST"]
        at = found.end()
        if kind is Kind.START and text.endswith(b"/>", 0, at):
            kind = Kind.EMPTY
        yield Token(kind, found.start(), at)
    if at < len(text):
        yield Token(Kind.REST, at, len(text))


def tag_name(text: bytes, start: int) -> str:
    """The name in the start tag at byte `start`, as written."""
    found = _TAG_NAME.match(text, start)
    return found[1].decode("utf-8", "replace") if found else ""


def attributes(text: bytes, start: int) -> Iterator[Attribute]:
    """The attributes of the start tag at byte `start`, in order."""
    tag = _TAG_NAME.match(text, start)
    at = tag.end() if tag else start
    while found := _ATTRIBUTE.match(text, at):
        value = 3 if found[3] is not None else 4
        name = found[2].decode("utf-8", "replace")
        yield Attribute(at, name, found.start(2), found.start(value), found.end(value))
        at = found.end()
