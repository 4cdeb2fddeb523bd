"""The usual form of a description.

Four spaces for each level, one element to a line, double quotes, at most one blank line
in a row. A tag that does not fit into a line keeps its author's breaks and gets those it
needs, attributes standing under the first one. Comments stay where they are: one that
follows something in its line goes on doing so, others are indented as what follows.
Text is left alone, but for white space around it where the grammar ignores that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from kiwilite.description.text.comments import Line, moved
from kiwilite.description.text.items import Data, Element, Item, Mark, read_items
from kiwilite.description.text.tokens import Kind
from kiwilite.description.vocabulary import ElementForm, Vocabulary, vocabulary

INDENT: Final = " " * 4
COLUMNS: Final = 100
"""Longest line that a tag may fill."""

_LINE_END = re.compile(rb"\r\n?")
_PSEUDO_ATTRIBUTE = re.compile(r"""([a-z]+)\s*=\s*["']([^"']*)["']""")
_PRESERVED: Final = ("xml:space", "preserve")


def lay_out(text: bytes) -> str:
    """`text`, which the reader has found well-formed, in the usual form."""
    page = _Page(_LINE_END.sub(b"\n", text), vocabulary())
    shown = _below(page, read_items(page.text), None, 0, Line())
    return shown.removeprefix("\n") + "\n"


@dataclass(frozen=True, slots=True)
class _Page:
    """What is laid out, its lines ending in line feeds, and the grammar it follows."""

    text: bytes
    words: Vocabulary

    def written(self, start: int, end: int) -> str:
        return self.text[start:end].decode()


def _below(
    page: _Page, items: Sequence[Item], parent: ElementForm | None, depth: int, line: Line
) -> str:
    """`items` of an element of form `parent`, each on a line of its own below `line`."""
    parts = []
    previous: Item | None = None
    for item in items:
        if line.width and _goes_on(item, previous, alone=len(items) == 1):
            lead = " "
        else:
            lead = ("\n\n" if item.breaks > 1 and previous else "\n") + INDENT * depth
        line = line.then(lead)
        shown = _shown(page, item, parent, depth, line)
        line = line.then(shown)
        parts += [lead, shown]
        previous = item
    return "".join(parts)


def _goes_on(item: Item, previous: Item | None, *, alone: bool) -> bool:
    """Whether `item` is a comment that goes on in the line of what it follows."""
    if not isinstance(item, Mark) or item.kind is not Kind.COMMENT or item.breaks or alone:
        return False
    return not (isinstance(previous, Mark) and previous.kind is Kind.INSTRUCTION)


def _shown(page: _Page, item: Item, parent: ElementForm | None, depth: int, line: Line) -> str:
    """`item` as it stands behind `line`."""
    match item:
        case Element():
            return _element(page, item, parent, depth)
        case Data(start, end):
            return page.written(start, end)
        case Mark(Kind.COMMENT, start, end):
            return _comment(page, start, end, line)
        case Mark(_, start, end):
            return _instruction(page, start, end)


class _Content(Enum):
    """How the content of an element is laid out."""

    NONE = auto()
    AS_IT_IS = auto()
    IN_THE_LINE = auto()
    BELOW = auto()


def _element(page: _Page, element: Element, parent: ElementForm | None, depth: int) -> str:
    form = _form(page.words, element, parent, depth)
    manner = _manner(element, form, depth)
    if manner is _Content.NONE:
        return _tag(element, "/>", depth)
    tag, end = _tag(element, ">", depth), f"</{element.name}>"
    if manner is _Content.AS_IT_IS:
        return tag + page.written(element.start, element.end) + end
    if manner is _Content.IN_THE_LINE:
        (data,) = element.items
        return tag + _shown(page, data, form, depth, Line()) + end
    line = Line().then(f"\n{INDENT * depth}{tag}")
    return f"{tag}{_below(page, element.items, form, depth + 1, line)}\n{INDENT * depth}{end}"


def _form(
    words: Vocabulary, element: Element, parent: ElementForm | None, depth: int
) -> ElementForm | None:
    """What the grammar says of `element`; None where it does not know one here."""
    if _names_a_namespace(element):
        return None
    if parent is not None:
        return words.child(parent, element.name)
    root = words.elements[words.root]
    return root if depth == 0 and element.name == root.name else None


def _names_a_namespace(element: Element) -> bool:
    return ":" in element.name or any(a.name == "xmlns" for a in element.attributes)


def _manner(element: Element, form: ElementForm | None, depth: int) -> _Content:
    """How the content of `element` can be laid out so that the same is said."""
    if element.start == element.end:
        return _Content.NONE
    if _says_more_than_words(element, form, depth):
        return _Content.AS_IT_IS
    if not element.items:
        return _Content.NONE
    only_text = len(element.items) == 1 and isinstance(element.items[0], Data)
    return _Content.IN_THE_LINE if only_text and form and form.text else _Content.BELOW


def _says_more_than_words(element: Element, form: ElementForm | None, depth: int) -> bool:
    """Whether white space in the content of `element` may mean something."""
    foreign = depth > 0 and _names_a_namespace(element)
    if foreign or any((a.name, a.value[1:-1]) == _PRESERVED for a in element.attributes):
        return True
    texts = sum(isinstance(item, Data) for item in element.items)
    if form is None:
        return texts > 0 or not element.items
    if form.text is None:
        return False
    # where the grammar ignores white space, two texts are one word with a comment in it
    in_pieces = texts > 1 and not any(isinstance(item, Element) for item in element.items)
    return form.text.any_text or in_pieces


def _tag(element: Element, closing: str, depth: int) -> str:
    """The start tag of `element`: in one line if it fits, else with its author's breaks."""
    head = f"{INDENT * depth}<{element.name}"
    written = [f"{a.name}={_quoted(a.value)}" for a in element.attributes]
    whole = " ".join([head, *written]) + closing
    if "\n" not in whole and len(whole) <= COLUMNS:
        return whole.removeprefix(INDENT * depth)
    under = " " * min(len(head), len(INDENT) * depth + COLUMNS // 2)
    lines = [head]
    for number, (attribute, text) in enumerate(zip(element.attributes, written, strict=True)):
        ending = closing if number == len(written) - 1 else ""
        first_line = (text + ending).partition("\n")[0]
        too_long = len(lines[-1]) + 1 + len(first_line) > COLUMNS
        if number and (attribute.begins_line or too_long):
            lines.append(under)
        *above, last = f"{lines[-1]} {text}{ending}".split("\n")
        lines[-1:] = [*above, last]
    if not written:
        lines[-1] += closing
    return "\n".join(lines).removeprefix(INDENT * depth)


def _quoted(value: str) -> str:
    """A raw value in double quotes, if it has none of these inside."""
    inner = value[1:-1]
    return value if '"' in inner else f'"{inner}"'


def _comment(page: _Page, start: int, end: int, line: Line) -> str:
    """A comment behind `line`."""
    text = page.written(start, end)
    if "\n" not in text:
        return text
    before = page.written(page.text.rfind(b"\n", 0, start) + 1, start)
    return moved(text, Line().then(f"\n{before}"), line)


def _instruction(page: _Page, start: int, end: int) -> str:
    """A processing instruction as it is; the XML declaration in its usual form."""
    text = page.written(start, end)
    if start > 0 or not re.match(r"<\?xml\s", text):
        return text
    said = (f'{name}="{value}"' for name, value in _PSEUDO_ATTRIBUTE.findall(text))
    return f"<?{' '.join(['xml', *said])}?>"
