"""Words made to fit keep their room, and say what they leave out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.description.report.printable import columns as cells
from kiwilite.plan.diagram.words import clean, cut, fold, wrap

TEXTS = st.text(max_size=120)
NAMES = st.lists(st.text("abc-./", min_size=1, max_size=12), max_size=60)


@settings(deadline=None)
@given(TEXTS, st.integers(2, 40), st.integers(1, 5))
def test_wrapped_lines_fit_and_are_not_too_many(text: str, room: int, most: int) -> None:
    lines = wrap(text, room, cells, most)
    assert len(lines) <= most
    assert all(cells(line) <= room for line in lines)


@settings(deadline=None)
@given(st.text("ab -/,日", max_size=120), st.integers(2, 40))
def test_nothing_is_lost_where_there_are_lines_enough(text: str, room: int) -> None:
    lines = wrap(text, room, cells, 1000)
    assert "".join(lines).replace(" ", "") == clean(text).replace(" ", "")


@settings(deadline=None)
@given(TEXTS, st.integers(1, 40))
def test_a_cut_text_fits_and_ends_with_an_ellipsis(text: str, room: int) -> None:
    shown = cut(text, room, cells)
    assert cells(shown) <= room
    assert shown == clean(text) or shown.endswith("…")


@settings(deadline=None)
@given(NAMES, st.integers(20, 60), st.integers(1, 4))
def test_folded_names_are_shown_or_counted(names: list[str], room: int, most: int) -> None:
    lines = fold(names, room, cells, most)
    assert len(lines) <= most
    assert all(cells(line) <= room for line in lines)
    shown = [name for line in lines for name in line.split("  ")]
    told = re.fullmatch(r"… and (\d+) more", shown[-1]) if shown else None
    missing = int(told[1]) if told else 0
    assert len(shown) - bool(told) + missing == len(names)
    assert shown[: len(names) - missing] == names[: len(names) - missing]


@settings(deadline=None)
@given(TEXTS)
def test_clean_text_is_one_line_without_controls(text: str) -> None:
    assert clean(text).isprintable() or not clean(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb", "a b"),
        ("a\x1b[31m", "a�[31m"),
        ("\u202eexe.png", "�exe.png"),
        ("z" + "\u0301" * 9, "z\u0301\u0301"),
        ("naïve 日本", "naïve 日本"),
    ],
)
def test_what_a_screen_would_obey_is_replaced(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_paths_break_before_a_slash_and_names_behind_a_hyphen() -> None:
    assert wrap("/var/lib/containers", 11, cells, 4) == ["/var/lib", "/containers"]
    assert wrap("dm-integrity", 10, cells, 4) == ["dm-", "integrity"]


def test_a_text_of_a_megabyte_is_cut() -> None:
    assert len(cut("a" * 1_000_000, 10_000, cells)) < 1000
    assert sum(map(len, wrap("ab " * 400_000, 80, cells, 10_000))) < 1000
