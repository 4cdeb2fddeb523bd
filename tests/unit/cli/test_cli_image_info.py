"""`kiwilite image info` as a script written for KIWI's calls it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from kiwilite.build import package_list
from kiwilite.build.package_list import Resolved
from kiwilite.cli.main import main

TEXT = """\
<image schemaversion="8.0" name="small" displayname="Small">
<description type="system">
<author>a</author><contact>c</contact><specification>s</specification>
</description>
<profiles>
<profile name="one" description="first" import="true"/>
<profile name="two" description="second"><requires profile="one"/></profile>
</profiles>
<preferences>
<version>1.0.0</version>
<packagemanager>apt</packagemanager>
<timezone>UTC</timezone>
<type image="oem" firmware="efi" filesystem="xfs" overlayroot="true"
overlayroot_write_partition="false" kernelcmdline="quiet a='b c'">
<bootloader name="grub2" timeout="3" console="serial"/>
<oemconfig><oem-resize>true</oem-resize><oem-resize-once>true</oem-resize-once></oemconfig>
<size unit="G">4</size>
</type>
</preferences>
<repository type="apt-deb" distribution="trixie"><source path="https://example.org"/></repository>
<packages type="image">
<package name="linux-image-amd64"/><package name="busybox"/><package name="systemd-boot-efi"/>
</packages>
<packages type="image" profiles="two"><package name="vim"/></packages>
<packages type="delete"><package name="zsh"/><package name="apt"/></packages>
</image>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "appliance.kiwi").write_text(TEXT)
    return tmp_path


@pytest.fixture
def ask(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """`kiwilite … image info … WORDS`: the JSON object, and what stands after it."""

    def run(*words: str, before: tuple[str, ...] = ()) -> tuple[dict[str, Any], str]:
        command = [*before, "image", "info", "--description", str(folder), *words]
        said_by_nobody = capsys.readouterr()
        assert said_by_nobody.out == ""
        assert main(command) == 0
        out = capsys.readouterr().out
        answer, end = json.JSONDecoder().raw_decode(out)
        return answer, out[end:]

    return run


def test_without_a_question_it_is_the_image_s_name(ask: Any) -> None:
    assert ask() == ({"image": "small"}, "\n")


def test_all_profiles_are_listed_whichever_is_selected(ask: Any) -> None:
    wanted = {"image": "small", "profile_names": ["one", "two"]}
    assert ask("--list-profiles")[0] == wanted
    assert ask("--list-profiles", before=("--profile", "two"))[0] == wanted


def test_the_variables_are_those_that_scripts_get(ask: Any) -> None:
    variables = ask("--print-kiwi-env", "--profile=two")[0]["kiwi_env"]
    assert list(variables) == sorted(variables)
    expected = {
        "kiwi_iname": "small",
        "kiwi_displayname": "Small",
        "kiwi_iversion": "1.0.0",
        "kiwi_profiles": "two,one",
        "kiwi_type": "oem",
        "kiwi_firmware": "efi",
        "kiwi_cmdline": "quiet a='b c'",
        "kiwi_delete": "apt zsh",
        "kiwi_timezone": "UTC",
        "kiwi_bootloader": "grub2",
        "kiwi_boot_timeout": "3",
        "kiwi_bootloader_console": "serial:serial",
        "kiwi_oemresizeonce": "true",
        "kiwi_oemtitle": "",
        "kiwi_startsector": "2048",
        "kiwi_luks_empty_passphrase": "false",
    }
    assert expected.items() <= variables.items()


def test_the_description_is_printed_as_a_whole_in_the_current_vocabulary(ask: Any) -> None:
    answer, text = ask("--print-xml")
    assert answer == {"image": "small"}
    root = ElementTree.fromstring(text)
    assert root.get("schemaversion") == "8.5"
    assert [s.get("profiles") for s in root.findall("packages")] == [None, "two", None]
    loader = root.find("preferences/type/bootloader")
    assert loader is not None
    assert loader.get("output_console") == "serial"


def test_yaml_and_toml_have_kiwi_s_form(ask: Any) -> None:
    as_yaml = yaml.safe_load(ask("--print-yaml")[1])
    assert as_yaml == tomllib.loads(ask("--print-toml")[1])
    image = as_yaml["image"]
    assert image["@name"] == "small"
    assert image["preferences"]["version"] == "1.0.0"
    assert image["preferences"]["type"]["size"] == {"@unit": "G", "#text": "4"}
    assert image["repository"]["source"] == {"@path": "https://example.org"}
    assert [p["@name"] for p in image["packages"][2]["package"]] == ["zsh", "apt"]


def test_toml_says_what_yaml_says_for_any_text(ask: Any, folder: Path) -> None:
    odd = '<author>"a\\ &#127; é 𝄞</author><contact>a "b" #c</contact><contact>d</contact>'
    text = TEXT.replace("<author>a</author><contact>c</contact>", odd)
    text = text.replace("<oem-resize>", '<oem-boot-title>"""</oem-boot-title><oem-resize>')
    (folder / "appliance.kiwi").write_text(text)
    as_toml = tomllib.loads(ask("--print-toml")[1])
    assert as_toml == yaml.safe_load(ask("--print-yaml")[1])
    assert as_toml["image"]["preferences"]["type"]["oemconfig"]["oem-boot-title"] == '"""'


def test_packages_are_told_in_kiwi_s_words(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What apt answers is tested with the stage; here it is given."""
    rows = (
        Resolved("busybox", "1:1.37", "amd64", 2048, "https://example.org/dists/x", True),
        Resolved("libc6", "2.41", "amd64", 4096, "https://example.org/dists/x", False),
    )
    monkeypatch.setattr(package_list, "package_list", lambda *_: rows)
    assert ask("--resolve-package-list")[0] == {
        "image": "small",
        "resolved-packages": {
            "busybox": {
                "arch": "amd64",
                "installsize_bytes": 2048,
                "source": "https://example.org/dists/x",
                "status": "listed_in_kiwi_description",
                "version": "1:1.37",
            },
            "libc6": {
                "arch": "amd64",
                "installsize_bytes": 4096,
                "source": "https://example.org/dists/x",
                "status": "added_by_dependency_solver",
                "version": "2.41",
            },
        },
    }


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["image", "info", "--description", str(folder), *words])
    captured = capsys.readouterr()
    assert captured.out == ""
    return status, captured.err


def test_an_unknown_profile_is_status_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, err = refusal(folder, capsys, "--profile=tow")
    assert status == 1
    assert "KL0201" in err


def test_a_mistake_of_the_grammar_is_status_1(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "appliance.kiwi").write_text(TEXT.replace('timeout="3"', 'timeuot="3"'))
    status, err = refusal(folder, capsys)
    assert status == 1
    assert "error[KL0102]" in err and "appliance.kiwi:15:26" in err


def test_two_types_at_once_matter_only_where_one_is_asked_about(
    ask: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "appliance.kiwi").write_text(
        TEXT.replace("</preferences>", '<type image="iso"/></preferences>')
    )
    assert ask("--list-profiles")[0]["profile_names"] == ["one", "two"]
    status, err = refusal(folder, capsys, "--print-kiwi-env")
    assert status == 1
    assert "KL0205" in err
    assert ask("--print-kiwi-env", "--type=iso")[0]["kiwi_env"]["kiwi_type"] == "iso"


def test_what_kiwilite_does_not_build_has_facts_too(ask: Any, folder: Path) -> None:
    (folder / "appliance.kiwi").write_text(TEXT.replace(">apt<", ">zypper<"))
    assert ask("--print-kiwi-env")[0]["kiwi_env"]["kiwi_iname"] == "small"
