"""Whatever the bytes are, reading them ends soon, in an appliance or in diagnostics."""

from __future__ import annotations

import tempfile
from pathlib import Path

from description_samples import STORAGE, X86, findings, write, write_keys
from full_description import full_description
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.description import suggest
from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.load import load

SEEDS = (X86.encode(), full_description().encode(), STORAGE.encode())
TOKENS = (
    b"<", b">", b"/>", b"&", b'"', b"'", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE a>",
    b"<?xml?>", b"\0", b"\xff", b"\xfe\xff", b"&amp;", b"&#0;", b"&#x10FFFF;", b"<a>", b"</a>",
    b' xmlns="urn:x"', b" x:y='1'", b' profiles="a"', b"9" * 40, b"-1", b"\xc2\xa0", b"\r", b"..",
    b'<include from="file://x"/>', b'<include from="file://fuzz.kiwi"/>', b'arch="aarch64"',
    b'<include from="file://\xc3\xa4/&#10;"/>', b"type", b"image", b"<package name='a'/>",
)  # fmt: skip


def test_the_seed_with_all_of_the_storage_is_correct(tmp_path: Path) -> None:
    write_keys(tmp_path)
    assert [d.code for d in findings(write(tmp_path, STORAGE))] == ["KL0602"]


def check(raw: bytes) -> None:
    """Loads `raw`; all diagnostics have a place inside the text."""
    with tempfile.TemporaryDirectory() as directory:
        file = write(Path(directory), "", "fuzz.kiwi")
        file.write_bytes(raw)
        try:
            _, found = load(file, arch="x86_64")
        except DescriptionInvalid as error:
            found = error.diagnostics
            assert any(d.severity == "error" for d in found)
        lines = raw.count(b"\n") + raw.count(b"\r") + 1
        assert all(1 <= d.span.line <= lines and d.span.column >= 1 for d in found)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_random_bytes(raw: bytes) -> None:
    check(raw)


@given(st.text(max_size=200).map(lambda text: f"<image a='{text}'>{text}</image>".encode()))
@settings(max_examples=200, deadline=None)
def test_random_text_in_an_element(raw: bytes) -> None:
    check(raw)


@given(
    st.sampled_from(SEEDS),
    st.lists(
        st.tuples(
            st.floats(0, 1),
            st.integers(0, 30),
            st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)),
        ),
        min_size=1,
        max_size=4,
    ),
)
@settings(max_examples=300, deadline=None)
def test_mutated_descriptions(seed: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    raw = seed
    for where, cut, put in edits:
        at = int(where * len(raw))
        raw = raw[:at] + put + raw[at + cut :]
    check(raw)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=3),
)
@settings(max_examples=200, deadline=None)
def test_descriptions_with_lines_moved_about(seed: bytes, moves: list[tuple[float, float]]) -> None:
    lines = seed.split(b"\n")
    for here, there in moves:
        line = lines.pop(int(here * (len(lines) - 1)))
        lines.insert(int(there * len(lines)), line)
    check(b"\n".join(lines))


@given(st.text("ab_-X", max_size=8), st.text("ab_-X", max_size=8))
def test_the_distance_of_words_is_one(a: str, b: str) -> None:
    assert suggest.distance(a, a) == 0
    assert suggest.distance(a, b) == suggest.distance(b, a)
    assert (suggest.distance(a, b) == 0) == (a == b)
    assert suggest.distance(a, b) <= max(len(a), len(b))
