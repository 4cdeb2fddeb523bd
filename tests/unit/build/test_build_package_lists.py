"""Package lists and apt's index of them are kept together, and come back as they were."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build.job import Job
from kiwilite.build.package_lists import INDEX, keep, keep_index, take
from kiwilite.plan.tree_steps import AptSource

SOURCES = (AptSource("http://deb.localhost/debian", "trixie", ("main",), trusted=True),)
LIST = "deb.localhost_debian_dists_trixie_main_binary-amd64_Packages"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("", tmp_path, tmp_path, tmp_path / "log", {}, {}, tmp_path / "cache", {})


def _lists(folder: Path, text: str) -> Path:
    folder.mkdir()
    (folder / LIST).write_text(text)
    return folder


def _index(folder: Path, text: str) -> Path:
    (folder / INDEX).write_text(text)
    return folder / INDEX


def _taken(job: Job, pin: str, folder: Path) -> list[str]:
    """Names in the folder of lists, and what stands in the index."""
    folder.mkdir()
    lists = folder / "lists"
    lists.mkdir()
    assert take(job, SOURCES, pin, lists, folder / INDEX)
    index = folder / INDEX
    return [*(p.name for p in lists.iterdir()), *([index.read_text()] if index.exists() else [])]


def test_lists_that_nobody_asked_about_have_no_index(job: Job, tmp_path: Path) -> None:
    keep(job, SOURCES, "1", _lists(tmp_path / "lists", "Package: a\n"))
    keep_index(job, SOURCES, "1", tmp_path / INDEX)
    assert _taken(job, "1", tmp_path / "later") == [LIST]


def test_the_index_comes_with_its_lists_and_not_among_them(job: Job, tmp_path: Path) -> None:
    keep(job, SOURCES, "1", _lists(tmp_path / "lists", "Package: a\n"))
    keep_index(job, SOURCES, "1", _index(tmp_path, "of a"))
    assert _taken(job, "1", tmp_path / "later") == [LIST, "of a"]


def test_an_index_that_apt_made_anew_takes_the_place_of_the_old_one(
    job: Job, tmp_path: Path
) -> None:
    keep(job, SOURCES, "1", _lists(tmp_path / "lists", "Package: a\n"))
    keep_index(job, SOURCES, "1", _index(tmp_path, "by an older apt"))
    keep_index(job, SOURCES, "1", _index(tmp_path, "by this apt"))
    assert _taken(job, "1", tmp_path / "later") == [LIST, "by this apt"]


def test_the_index_goes_with_its_lists(job: Job, tmp_path: Path) -> None:
    keep(job, SOURCES, "1", _lists(tmp_path / "lists", "Package: a\n"))
    keep_index(job, SOURCES, "1", _index(tmp_path, "of a"))
    keep(job, SOURCES, "2", _lists(tmp_path / "other", "Package: b\n"))
    assert _taken(job, "2", tmp_path / "later") == [LIST]


def test_an_index_of_lists_that_are_gone_is_not_kept(job: Job, tmp_path: Path) -> None:
    keep(job, SOURCES, "2", _lists(tmp_path / "lists", "Package: b\n"))
    keep_index(job, SOURCES, "1", _index(tmp_path, "of a"))
    assert _taken(job, "2", tmp_path / "later") == [LIST]
