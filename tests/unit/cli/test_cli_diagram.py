"""`kiwilite description diagram` as it is called."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

import kiwilite
from kiwilite.cli.main import main

X86 = str(Path(kiwilite.__file__).resolve().parent.parent / "descriptions/x86")
DRAW = ("description", "diagram", X86, "--arch", "x86_64")


def test_text_goes_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DRAW, "--profile", "development"]) == 0
    shown = capsys.readouterr().out
    assert "profiles development, bootstrapped" in shown
    assert "p.lxreadonly" in shown
    assert "\x1b" not in shown


def test_svg_goes_into_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "picture.svg"
    assert main([*DRAW, "--format", "svg", "--output", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert ElementTree.fromstring(target.read_bytes()).tag.endswith("svg")


def test_an_invalid_description_is_1_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = Path(X86, "appliance.kiwi").read_text().replace("packagemanager", "packagemanger")
    (tmp_path / "appliance.kiwi").write_text(wrong)
    assert main(["description", "diagram", str(tmp_path)]) == 1
    seen = capsys.readouterr()
    assert seen.out == ""
    line = wrong[: wrong.index("<packagemanger")].count("\n") + 1
    assert f"appliance.kiwi:{line}:9" in seen.err
    assert "KL0101" in seen.err


def test_an_unknown_profile_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DRAW, "--profile", "develpment"]) == 1
    assert "did you mean `development`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [(*DRAW, "--format", "png"), ("description", "diagram", "no-such-description")]
)
def test_a_mistake_of_the_command_line_is_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "no-such-folder" / "picture.txt"
    assert main([*DRAW, "--output", str(target)]) == 1
    assert f"{target}: cannot be written" in capsys.readouterr().err
