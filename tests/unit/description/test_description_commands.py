"""`kiwilite description check`, `kiwilite explain`, and mistakes before any build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from description_samples import X86, minimal, write

from kiwilite.cli.explain import code_of
from kiwilite.cli.main import main
from kiwilite.description.codes import TITLES
from kiwilite.errors import UsageError

BROKEN = minimal(type_attributes='overlayrot="true"', packages='<file name="gone"/>')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KIWILITE_DESCRIPTIONS", raising=False)
    return tmp_path


def check(*arguments: str) -> int:
    return main(["description", "check", *arguments])


def test_a_valid_file_is_said_to_be_valid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, minimal())
    assert check(".", "--arch=x86_64") == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("appliance.kiwi: valid\n", "")


def test_warnings_do_not_make_it_invalid(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, minimal(type_attributes='bootpartition="true" mdraid="mirroring"'))
    assert check("appliance.kiwi", "--arch=x86_64") == 0
    said = capsys.readouterr().out
    assert said.endswith("appliance.kiwi: valid, 2 warnings\n")
    assert "warning[KL0901]" in said and "warning[KL0902]" in said


def test_errors_make_it_invalid_and_are_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, BROKEN)
    assert check("appliance.kiwi") == 1
    said = capsys.readouterr().out
    assert "error[KL0102]" in said and "^^^^^^^^^^\n" in said
    assert said.endswith("appliance.kiwi: invalid, 2 errors\n")


def test_a_name_below_descriptions_will_do(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder / "descriptions" / "kiosk", minimal())
    assert check("kiosk") == 0
    assert "descriptions/kiosk/appliance.kiwi: valid" in capsys.readouterr().out


def test_it_is_told_which_profiles_were_looked_at(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, X86.replace('name="bootstrapped" ', 'name="bootstrapped" arch="s390x" '))
    check(".", "--arch=x86_64")
    said = capsys.readouterr().err
    assert "looked at without a profile and with default\n" in said
    assert "not looked at with bootstrapped, development" in said


@pytest.mark.parametrize("form", ["json", "gcc", "sarif"])
def test_other_forms_have_nothing_beside_them(
    folder: Path, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, BROKEN)
    assert check(".", f"--format={form}") == 1
    said = capsys.readouterr()
    assert said.err == ""
    if form == "gcc":
        assert [line.split(":")[0] for line in said.out.splitlines()] == ["appliance.kiwi"] * 2
    else:
        assert json.loads(said.out)


def test_where_a_tag_spans_lines_the_line_is_that_of_the_attribute(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, BROKEN)
    check(".", "--format=json")
    first, second = json.loads(capsys.readouterr().out)["diagnostics"]
    lines = BROKEN.splitlines()
    assert lines[first["line"] - 1].startswith("overlayrot")
    assert "gone" in lines[second["line"] - 1]


@pytest.mark.parametrize(
    "arguments", [[], ["."], ["none"], [".", "--format=yaml"], [".", "--frmat=json"], [".", "x"]]
)
def test_usage_mistakes_exit_two(
    folder: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(*arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("command", ["build", "plan", "bootstrap"])
def test_a_build_shows_mistakes_in_the_same_form(
    folder: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, BROKEN)
    assert main(["system", command, "--description", "."]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    line = BROKEN[: BROKEN.index("overlayrot=")].count("\n") + 1
    assert f" --> appliance.kiwi:{line}:1\n  |\n{line} | overlayrot=" in said.err
    assert said.err.endswith("\n2 errors\n")


def test_what_is_not_built_is_an_error_to_a_build(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, minimal(type_attributes='mdraid="mirroring"'))
    assert check(".", "--arch=x86_64") == 0
    capsys.readouterr()
    assert main(["system", "plan", "--description", "."]) == 1
    assert "error[KL0901]" in capsys.readouterr().err


def test_an_explanation_has_prose_and_both_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "KL0105"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"KL0105: {TITLES['KL0105']}\n")
    assert "\nWrong\n" in said and "\nRight\n" in said and '    <type image="oem"' in said
    assert "`" * 3 not in said and "#" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_all_codes_are_listed_with_their_titles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"{code}  {title}" for code, title in TITLES.items()]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("word", ["KL0105", "kl0105", "0105", "105", "kl105", "[KL0105]"])
def test_a_code_may_be_written_shorter(word: str) -> None:
    assert code_of(word) == "KL0105"


@pytest.mark.parametrize(
    ("word", "nearest"), [("KL0190", "KL0109"), ("KLO102", "KL0102"), ("frobnicate", "lists all")]
)
def test_an_unknown_code_has_a_suggestion(word: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        code_of(word)
    assert word in caught.value.message and nearest in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("arguments", "nearest"),
    [
        (["descriptoin", "check", "."], "kiwilite description"),
        (["--profile", "a", "sistem", "build"], "kiwilite system"),
        (["frobnicate"], "kiwilite --help"),
    ],
)
def test_an_unknown_command_has_a_suggestion(
    arguments: list[str], nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert nearest in said and any(f"unknown command {word}\n" in said for word in arguments)
