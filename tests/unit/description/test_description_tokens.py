"""The tokens of a text give it back, and stand where expat sees them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.parsers import expat

import pytest
from description_samples import X86, encrypted
from full_description import full_description
from hypothesis import given, settings
from hypothesis import strategies as st
from random_descriptions import unruly

from kiwilite.description.reader import parse
from kiwilite.description.source import make_source
from kiwilite.description.text.edits import Edit, edited
from kiwilite.description.text.tokens import Kind, attributes, tag_name, tokens

SEEDS = (X86.encode(), full_description().encode(), encrypted().encode())
BITS = (b"<", b">", b"/>", b'"', b"'", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE a>",
        b"<?a?>", b"\0", b"\xff", b"</", b"=", b"<a", b" ")  # fmt: skip


@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from(BITS)),
        min_size=1,
        max_size=5,
    ),
)
@settings(max_examples=200, deadline=None)
def test_tokens_of_mutated_descriptions_give_back_the_same_bytes(
    text: bytes, cuts: list[tuple[float, int, bytes]]
) -> None:
    for where, cut, put in cuts:
        at = int(where * len(text))
        text = text[:at] + put + text[at + cut :]
    found = list(tokens(text))
    assert b"".join(text[t.start : t.end] for t in found) == text
    assert all(t.start < t.end for t in found)


def events(text: bytes) -> Iterator[tuple[Kind, int]]:
    """What expat finds that is no text, with the byte where it starts."""
    found: list[tuple[Kind, int]] = []
    parser = expat.ParserCreate()

    def note(kind: Kind) -> None:
        found.append((kind, parser.CurrentByteIndex))

    parser.StartElementHandler = lambda *_: note(Kind.START)
    parser.EndElementHandler = lambda *_: note(Kind.END)
    parser.CommentHandler = lambda *_: note(Kind.COMMENT)
    parser.StartCdataSectionHandler = lambda: note(Kind.CDATA)
    parser.ProcessingInstructionHandler = lambda *_: note(Kind.INSTRUCTION)
    parser.XmlDeclHandler = lambda *_: note(Kind.INSTRUCTION)
    parser.Parse(text, True)
    yield from found


def as_expat_would(text: bytes) -> Iterator[tuple[Kind, int]]:
    for token in tokens(text):
        if token.kind is Kind.EMPTY:
            yield Kind.START, token.start
            yield Kind.END, token.end
        elif token.kind is not Kind.TEXT:
            yield token.kind, token.start


@given(unruly())
@settings(max_examples=200, deadline=None)
def test_tokens_of_a_well_formed_text_are_those_of_expat(text: str) -> None:
    raw = text.encode()
    assert list(as_expat_would(raw)) == list(events(raw))


@given(unruly())
@settings(max_examples=100, deadline=None)
def test_attributes_are_found_with_their_places(text: str) -> None:
    raw = text.encode()
    for node in parse(make_source(Path("x.kiwi"), raw)).walk():
        found = list(attributes(raw, node.offset))
        assert tag_name(raw, node.offset).rpartition(":")[2] == node.name.rpartition("}")[2]
        own = [a for a in found if not a.name.startswith("xmlns")]
        assert [a.name.rpartition(":")[2] for a in own] == [
            name.rpartition("}")[2] for name in node.attributes
        ]
        for a in found:
            assert raw[a.value - 1 : a.value] == raw[a.value_end : a.end] != b""
            assert not raw[a.space : a.start].strip()
            assert raw[a.start :].startswith(a.name.encode())


def test_what_is_not_well_formed_is_the_last_token() -> None:
    text = b'<a b="1"><!-- c <d/></a>'
    *before, last = tokens(text)
    assert [t.kind for t in before] == [Kind.START]
    assert (last.kind, text[last.start : last.end]) == (Kind.REST, b"<!-- c <d/></a>")


@pytest.mark.parametrize("count", [1, 100_000])
def test_a_tag_without_an_end_costs_one_pass(count: int) -> None:
    text = b"<a " + b"b='" * count
    assert [t.kind for t in tokens(text)] == [Kind.REST]


def test_edits_replace_what_they_name_in_whatever_order() -> None:
    assert edited(b"abcdef", [Edit(4, 5, b""), Edit(0, 1, b"A-"), Edit(2, 2, b"+")]) == b"A-b+cdf"


def test_overlapping_edits_are_a_defect() -> None:
    with pytest.raises(AssertionError):
        edited(b"abc", [Edit(0, 2, b""), Edit(1, 3, b"")])
