"""Older descriptions, brought to the current vocabulary in their text.

What changes comes from the steps of `upgrade`; comments, quotes, white space, and the
references in values that need no change of their own stay as their author wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from kiwilite.description.reader import XML_SPACE, parse
from kiwilite.description.source import make_source
from kiwilite.description.text.edits import Edit, edited
from kiwilite.description.text.tokens import Attribute, Kind, attributes, tokens
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import (
    CURRENT,
    Pair,
    Step,
    changed_attributes,
    changed_word,
    successors,
)

_REFERENCES: Final = {'"': "&quot;", "'": "&apos;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}


def upgraded_text(root: Node, steps: Sequence[Step]) -> bytes:
    """The text of the file whose tree is `root`, after `steps`."""
    edits: list[Edit] = []
    for node in root.walk():
        mine = [step for step in steps if step.element == node.name]
        if not mine:
            continue
        edits += _attribute_edits(node, mine)
        if (word := changed_word(node, mine)) is not None:
            edits += _word_edits(node, word)
    text = root.source.text
    version = next((a for a in attributes(text, root.offset) if a.name == "schemaversion"), None)
    if version is not None:
        edits.append(Edit(version.value, version.value_end, CURRENT.encode()))
    return edited(text, edits)


def _attribute_edits(node: Node, steps: Sequence[Step]) -> Iterator[Edit]:
    """One edit for each attribute that changes; one that goes takes white space with it."""
    text = node.source.text
    changed = changed_attributes(node, steps)
    if not changed:
        return
    space: bytes | None = None
    """What stood before the first attribute, as long as none has been kept."""
    first = True
    for found in attributes(text, node.offset):
        before = text[found.space : found.start]
        space = before if space is None else space
        now = changed.get(found.name)
        if now is None:
            if first and before != space:
                yield Edit(found.space, found.start, space)
            first = False
            continue
        lead = space if first else before
        written = [lead + a for a in _written(node, found, now, steps)]
        yield Edit(found.space, found.end, b"".join(written))
        first = first and not written


def _written(
    node: Node, old: Attribute, now: Sequence[Pair], steps: Sequence[Step]
) -> Iterator[bytes]:
    """The attributes `now`, in the quotes and with the references of the `old` one."""
    text = node.source.text
    quote = text[old.value_end : old.end]
    sign = text[old.start + len(old.name.encode()) : old.value]
    raw = text[old.value : old.value_end].decode()
    drafts: Mapping[str, str] = dict(successors(node.name, old.name, raw, steps))
    for name, value in now:
        draft = drafts.get(name)
        if draft is None or _meaning(draft, quote.decode()) != value:
            draft = escape(value, _REFERENCES)
        yield name.encode() + sign + draft.encode() + quote


def _meaning(raw: str, quote: str) -> str:
    """The value that is written as `raw` between two quotes."""
    made = parse(make_source(Path(), f"<a v={quote}{raw}{quote}/>".encode()))
    return made.attributes["v"]


def _word_edits(node: Node, word: str) -> Iterator[Edit]:
    """What `node` says becomes `word`, in the place where its text begins."""
    blank = XML_SPACE.encode()
    for start, end in _said(node):
        raw = node.source.text[start:end]
        inner = raw.strip(blank)
        if inner:
            at = start + raw.index(inner)
            yield Edit(at, at + len(inner), word.encode())
            word = ""


def _said(node: Node) -> Iterator[tuple[int, int]]:
    """Start and end of each piece of text directly in `node`."""
    depth = 0
    for token in tokens(node.source.text, node.offset):
        match token.kind:
            case Kind.START:
                depth += 1
            case Kind.END:
                depth -= 1
            case Kind.TEXT if depth == 1:
                yield token.start, token.end
            case Kind.CDATA if depth == 1:
                yield token.start + len("<![CDATA["), token.end - len("]]>")
            case _:
                pass
        if depth == 0:
            return
