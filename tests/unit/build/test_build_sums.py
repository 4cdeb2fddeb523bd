"""A sum that was noted is the file's, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build import manifest, sums

SUM, OTHER = "a" * 64, "b" * 64


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    made(tmp_path, "one")
    (tmp_path / sums.FILE).write_text(sums.noted(tmp_path, {"disk.raw": SUM}))
    return tmp_path


def made(entry: Path, text: str) -> None:
    (entry / manifest.OUT).mkdir(exist_ok=True)
    (entry / manifest.OUT / "disk.raw").write_text(text)
    manifest.write(entry)


def test_what_was_noted_is_known(entry: Path) -> None:
    assert sums.known(entry) == {"disk.raw": SUM}


def test_a_further_sum_does_not_take_the_place_of_others(entry: Path) -> None:
    (entry / sums.FILE).write_text(sums.noted(entry, {"disk.qcow2": OTHER}))
    assert sums.known(entry) == {"disk.raw": SUM, "disk.qcow2": OTHER}


def test_of_a_result_that_was_made_once_more_nothing_is_known(entry: Path) -> None:
    made(entry, "other")
    assert sums.known(entry) == {}


def test_no_changed_byte_of_the_note_goes_unnoticed(entry: Path) -> None:
    before = (entry / sums.FILE).read_bytes()
    for at in range(len(before)):
        (entry / sums.FILE).write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
        assert sums.known(entry) == {}, at
    (entry / sums.FILE).write_bytes(before[:-9])
    assert sums.known(entry) == {}


def test_of_an_entry_without_a_note_nothing_is_known(tmp_path: Path) -> None:
    assert sums.known(tmp_path / "nowhere") == {}
