"""Every code is explained, and the examples show what they claim to show."""

from __future__ import annotations

from pathlib import Path

import pytest
from explained_examples import example

from kiwilite.description.codes import TITLES
from kiwilite.description.explanation import FOLDER, explanation

BESIDE = {"KL0602", "KL0902"}
"""Warnings about every encrypted volume, and about what has no effect."""

ALSO = {"KL0405": {"KL0421"}, "KL0906": {"KL0908"}, "KL0210": {"KL0605"}}
"""What cannot be had alone."""


def test_every_code_is_explained_and_nothing_else_is() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(TITLES)


@pytest.mark.parametrize("code", TITLES)
def test_the_heading_is_the_code_with_its_title(code: str) -> None:
    first = (FOLDER / f"{code}.md").read_text().splitlines()[0]
    assert first == f"# {code}: {TITLES[code]}"
    assert len(explanation(code).meaning) > 60


@pytest.mark.parametrize("code", TITLES)
def test_the_wrong_example_has_this_mistake_alone_at_the_marked_place(
    tmp_path: Path, code: str
) -> None:
    wrong = example(code, "Wrong", tmp_path)
    beside = (BESIDE | ALSO.get(code, set())) - {code}
    found = [d for d in wrong.findings() if d.code not in beside]
    found = [d for d in found if d.severity != "note"] or found
    assert [(d.code, d.span.line, d.span.column) for d in found] == [
        (code, *mark) for mark in wrong.marks
    ]


@pytest.mark.parametrize("code", TITLES)
def test_the_right_example_has_no_mistake(tmp_path: Path, code: str) -> None:
    right = example(code, "Right", tmp_path)
    found = right.findings()
    assert code not in {d.code for d in found}
    assert not right.built_upon or not [d for d in found if d.severity == "error"]


@pytest.mark.parametrize("code", TITLES)
def test_an_explanation_fits_eighty_columns(code: str) -> None:
    lines = explanation(code).body.splitlines()
    inside = False
    for line in lines:
        inside ^= line.startswith("```")
        assert len(line) + 4 * inside <= 80, line
