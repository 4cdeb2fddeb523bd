"""Which file --description means."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import minimal, write

from kiwilite.description.find import find
from kiwilite.errors import UsageError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("KIWILITE_DESCRIPTIONS", raising=False)


@pytest.mark.parametrize("name", ["appliance.kiwi", "config.xml", "other.kiwi"])
def test_a_directory_and_the_file_in_it_mean_the_same(tmp_path: Path, name: str) -> None:
    file = write(tmp_path / "d", minimal(), name)
    assert find(str(tmp_path / "d")) == find(str(file)) == file


def test_a_name_is_looked_up_in_descriptions_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIWILITE_DESCRIPTIONS", f"{tmp_path / 'none'}:{tmp_path / 'shared'}")
    shared = write(tmp_path / "shared" / "box", minimal())
    assert find("box") == shared
    near = write(Path("descriptions") / "box", minimal())
    assert find("box") == near


def test_without_an_argument_it_is_the_current_directory() -> None:
    file = write(Path(), minimal())
    assert find(None) == file


def test_the_descriptions_of_the_checkout_are_known_by_name() -> None:
    assert find("x86").name == "appliance.kiwi"


def test_an_unknown_name_says_what_was_tried_and_suggests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIWILITE_DESCRIPTIONS", str(tmp_path / "shared"))
    write(tmp_path / "shared" / "gateway", minimal())
    with pytest.raises(UsageError) as caught:
        find("gatewey")
    assert caught.value.hint == "did you mean `gateway`?"
    assert "descriptions/gatewey" in caught.value.message
    assert str(tmp_path / "shared" / "gatewey") in caught.value.message


def test_a_directory_without_a_description_or_with_several(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match="holds no description"):
        find(str(tmp_path / "d"))
    write(tmp_path / "d", minimal(), "a.kiwi")
    write(tmp_path / "d", minimal(), "b.kiwi")
    with pytest.raises(UsageError, match=r"a\.kiwi, b\.kiwi"):
        find(str(tmp_path / "d"))


@pytest.mark.parametrize("argument", ["", "a\0b", "no/such/path", "/no/such/path"])
def test_nonsense_is_a_usage_error(argument: str) -> None:
    with pytest.raises(UsageError):
        find(argument)
