"""`kiwilite store` at the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kiwilite.build import children, manifest
from kiwilite.build.store import Store
from kiwilite.cli.main import main

KEY = "a" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one finished step, last used in 1970."""
    children.begin()
    found = Store(tmp_path / "store")
    found.create()
    with found.lock(KEY), found.making(KEY) as folder:
        (folder / "out/result").write_bytes(b"x" * 5000)
        manifest.write(folder)
        found.keep(folder, KEY, {"step": "root", "title": "squashfs of /", "place": "host"})
    os.utime(found.entries / KEY, (0, 0))
    return found


def run(store: Store, *words: str) -> int:
    return main(["store", *words, "--store", str(store.root)])


def test_steps_are_listed_with_what_they_make(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "list") == 0
    out = capsys.readouterr().out
    assert "root" in out
    assert "squashfs of /" in out
    assert str(store.root) in out


def test_the_list_for_programs_has_the_whole_key_and_bytes(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "list", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(e["key"], e["step"], e["used"]) for e in found["entries"]] == [(KEY, "root", 0)]
    assert found["bytes"] >= 5000


def test_damage_is_named_and_is_status_1(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(store, "verify") == 0
    assert "1 steps are sound" in capsys.readouterr().out
    (store.output(KEY) / "result").write_bytes(b"y")
    assert run(store, "verify") == 1
    out = capsys.readouterr().out
    assert "out/result: has 1 bytes instead of 5000" in out
    assert "makes it again" in out
    assert run(store, "verify", "--format", "json") == 1
    damaged = json.loads(capsys.readouterr().out)["damaged"]
    assert [row["key"] for row in damaged] == [KEY]


def test_without_limits_what_is_unused_for_a_month_goes(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "gc") == 0
    assert "removed: 1 steps" in capsys.readouterr().out
    assert list(store.entries.iterdir()) == []


def test_a_size_alone_keeps_what_fits_however_old(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(store, "gc", "--max-size", "1G", "--format", "json") == 0
    assert json.loads(capsys.readouterr().out)["entries"] == []
    assert store.find(KEY) is not None


@pytest.mark.parametrize(
    "words",
    [
        ["gc", "--keep-days", "soon"],
        ["gc", "--keep-days=-1"],
        ["gc", "--max-size", "much"],
        ["list", "--format", "xml"],
        ["burn"],
    ],
)
def test_what_makes_no_sense_is_status_2_and_removes_nothing(
    store: Store, words: list[str]
) -> None:
    assert run(store, *words) == 2
    assert store.find(KEY) is not None


def test_a_folder_that_is_no_store_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/precious").touch()
    assert main(["store", "gc", "--store", str(tmp_path)]) == 2
    assert "is not a store" in capsys.readouterr().err
    assert [p.name for p in tmp_path.rglob("*")] == ["work", "precious"]


def test_the_store_is_that_of_the_configuration(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kiwilite.yml").write_text(f"store: {store.root}\n")
    assert main(["store", "list", "--config", str(tmp_path / "kiwilite.yml")]) == 0
    assert str(store.root) in capsys.readouterr().out
