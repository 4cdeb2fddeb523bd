"""kiwilite.yml: what it says, and what is wrong in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build.configuration import Configuration, load
from kiwilite.errors import KiwiliteError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def written(folder: Path, text: str) -> Path:
    path = folder / "own.yml"
    path.write_text(text)
    return path


def test_store_and_mirrors(nowhere: Path) -> None:
    found = load(written(nowhere, "store: /srv/k\nmirrors:\n  debian: http://m.invalid/debian\n"))
    assert found == Configuration(Path("/srv/k"), {"debian": "http://m.invalid/debian"})


def test_the_home_folder_may_be_abbreviated(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load(written(nowhere, "store: ~/k\n")).store == Path("/home/somebody/k")


def test_tools_are_the_host_s_unless_a_tree_is_asked_for(nowhere: Path) -> None:
    assert load(None).tools == "host"
    assert load(written(nowhere, "tools: tree\n")).tools == "tree"


def test_an_empty_file_says_nothing(nowhere: Path) -> None:
    assert load(written(nowhere, "")) == Configuration()


def test_the_file_in_this_folder_comes_before_the_user_s(nowhere: Path) -> None:
    (nowhere / "config").mkdir()
    (nowhere / "config/kiwilite.yml").write_text("store: /user\n")
    assert load(None).store == Path("/user")
    (nowhere / "kiwilite.yml").write_text("store: /here\n")
    assert load(None).store == Path("/here")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("mirors: {}\n", "unknown setting mirors", "did you mean mirrors?"),
        ("stor: /x\n", "unknown setting stor", "did you mean store?"),
        ("zzz: 1\n", "unknown setting zzz", "known are: store, mirrors, snapshots, tools"),
        ("- a\n", "names and values are expected", None),
        ("mirrors: [a]\n", "mirrors: maps distribution names to URLs", None),
        ("mirrors: {debian: 7}\n", "mirrors: maps distribution names to URLs", None),
        ("snapshots: [a]\n", "snapshots: maps distribution names to URLs", None),
        ("snapshots: {debian: 'http://s.invalid/'}\n", "the address has no {snapshot}", None),
        ("store: [a]\n", "store: is a folder's path", None),
        ("store: {\n", "this is not YAML", None),
        ("tools: both\n", "tools: 'both' is neither host nor tree", None),
        ("tools: [tree]\n", "tools: ['tree'] is neither host nor tree", None),
    ],
)
def test_a_mistake_is_named_with_its_file(
    nowhere: Path, text: str, message: str, hint: str | None
) -> None:
    path = written(nowhere, text)
    with pytest.raises(KiwiliteError) as caught:
        load(path)
    assert message in caught.value.message
    assert caught.value.where == str(path)
    assert caught.value.hint == hint


def test_a_file_that_was_named_must_be_there(nowhere: Path) -> None:
    with pytest.raises(KiwiliteError, match="no such configuration file"):
        load(nowhere / "absent.yml")
