"""`description show` in its formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from description_samples import X86, minimal, write

from kiwilite.cli.main import main
from kiwilite.description.load import examine
from kiwilite.description.show.data import data
from kiwilite.description.show.elements import Shown, shown
from kiwilite.description.show.text import Paper, lines
from kiwilite.description.vocabulary import vocabulary

SECRETS = {
    "the passphrase": X86.replace('luks="insecure"', 'luks="geheim"'),
    "a plain password": X86.replace('"$6$salt$hash"', '"geheim" pwdformat="plain"', 1),
    "a repository's password": X86.replace(
        'imageinclude="true"', 'username="me" password="geheim"'
    ),
    "a password in an address": X86.replace("distro:debian", "https://me:geheim@example.org/d"),
}


def show(file: Path, *profiles: str) -> Shown:
    examined = examine(file, profiles, arch="x86_64")
    assert examined.appliance is not None, examined.found
    return shown(examined, examined.appliance, profiles)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize(
    "words",
    [
        "description show {} --format=text",
        "description show {} --format=xml",
        "description show {} --format=json",
        "description show {} --format=yaml",
        "image info --description={} --print-xml",
        "image info --description={} --print-yaml",
        "image info --description={} --print-toml",
    ],
)
def test_no_secret_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], secret: str, words: str
) -> None:
    file = write(tmp_path, SECRETS[secret])
    assert "geheim" in file.read_text()
    main([w.format(file) for w in words.split()])
    said = capsys.readouterr()
    assert "qcow2" in said.out
    assert "geheim" not in said.out + said.err
    assert "secret" in said.out


def test_a_secret_s_place_is_shown(tmp_path: Path) -> None:
    what = show(write(tmp_path, X86))
    row = next(line for line in lines(what, Paper()) if line.lstrip().startswith("luks "))
    assert "(a secret, not shown)" in row
    assert row.endswith("appliance.kiwi:25:15")
    kind = data(what)["image"]["preferences"]["type"]
    assert kind["luks"] == {
        "value": None,
        "secret": True,
        "origin": f"{what.file}:25:15",
    }


def test_a_key_that_is_referred_to_is_no_secret(tmp_path: Path) -> None:
    what = show(write(tmp_path, X86.replace('luks="insecure"', 'luks="file://key"')))
    assert data(what)["image"]["preferences"]["type"]["luks"]["value"] == "file://key"


def test_the_table_fits_a_terminal_of_80_columns(tmp_path: Path) -> None:
    text = X86.replace("console=ttyS0", "console=ttyS0 " + "module.an-option=value " * 9)
    deep = tmp_path / ("folder" * 9)
    beginning = text.index("    <preferences")
    end = text.index("    <users>")
    head = '<image schemaversion="8.5" name="x">\n'
    write(deep, f"{head}{text[beginning:end]}</image>", "types.kiwi")
    include = f'<include from="file://{deep.name}/types.kiwi"/>\n'
    file = write(tmp_path, text[:beginning] + include + text[end:])
    table = list(lines(show(file), Paper()))
    assert max(map(len, table[1:])) <= 80  # the first line is the file's path
    assert any("…" in line and line.endswith("types.kiwi:2:5") for line in table)
    assert sum("module.an-option=value" in line for line in table) == 9


def test_places_are_set_apart_by_colour_only_where_there_is_some(tmp_path: Path) -> None:
    what = show(write(tmp_path, X86))
    assert not any("\x1b" in line for line in lines(what, Paper()))
    assert any(line.endswith("\x1b[2mdefault\x1b[0m") for line in lines(what, Paper(dim=True)))


def test_nothing_that_a_terminal_would_obey_is_printed(tmp_path: Path) -> None:
    text = minimal(type_attributes='kernelcmdline="a&#x9b;31mb"')
    table = "\n".join(lines(show(write(tmp_path, text)), Paper()))
    assert "a\N{REPLACEMENT CHARACTER}31mb" in table


def test_what_stands_beside_the_description_is_listed(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "config.sh").write_text("true\n")
    what = show(write(tmp_path, X86))
    assert (data(what)["overlay_trees"], data(what)["scripts"]) == (["root"], ["config.sh"])
    assert list(lines(what, Paper()))[-2:] == ["  overlay tree  root", "  script        config.sh"]


def test_json_and_yaml_are_the_same_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, X86)
    printed = []
    for name in ("json", "yaml"):
        assert main(["description", "show", str(file), f"--format={name}", "--arch=x86_64"]) == 0
        printed.append(capsys.readouterr().out)
    as_json: dict[str, Any] = json.loads(printed[0])
    assert as_json == yaml.safe_load(printed[1])
    assert list(as_json) == [
        *("file", "schemaversion", "arch", "type", "profiles"),
        *("image", "overlay_trees", "scripts"),
    ]


def test_data_has_lists_where_there_may_be_several_and_objects_elsewhere(tmp_path: Path) -> None:
    image = data(show(write(tmp_path, X86), "development"))["image"]
    assert image["preferences"]["version"]["value"] == "1.0.2"
    assert image["preferences"]["type"]["firmware"]["value"] == "efi"
    assert image["preferences"]["type"]["size"]["value"] == "4"
    assert image["preferences"]["type"]["eficsm"]["origin"] == "default"
    assert [r["alias"]["value"] for r in image["repository"]] == ["debian"]
    vim = next(s for s in image["packages"] if s["package"][0]["name"]["value"] == "vim")
    assert vim["holds_for"] == {"profiles": ["development"]}


def test_no_word_of_the_vocabulary_is_one_of_the_data_s_own() -> None:
    for form in vocabulary().elements.values():
        names = [*form.attributes, *form.children]
        assert len(set(names)) == len(names), form.name
        assert not {"origin", "holds_for", "secret"} & set(names), form.name
        assert form.text is None or "value" not in names, form.name
