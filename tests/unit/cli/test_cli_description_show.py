"""`kiwilite description show` as a person calls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.cli.main import main

TEXT = """\
<image schemaversion="8.5" name="small">
<description type="system">
<author>a</author><contact>c</contact><specification>s</specification>
</description>
<profiles><profile name="more" description="more"/></profiles>
<preferences>
<version>1.0.0</version>
<packagemanager>apt</packagemanager>
<type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true"
overlayroot_write_partition="false"/>
</preferences>
<packages type="image">
<package name="linux-image-amd64"/><package name="busybox"/><package name="systemd-boot-efi"/>
</packages>
</image>
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "appliance.kiwi"
    path.write_text(TEXT)
    return path


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Exit status, output and complaints of `kiwilite description show`."""
    status = main(["description", "show", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_valid_description_is_status_0(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, file, "--arch=aarch64", "--profile=more")
    assert (status, err) == (0, "")
    assert out.splitlines()[1] == "for aarch64, type oem, profiles: more"


def test_what_is_valid_and_not_built_is_shown_and_told(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TEXT.replace(">apt<", ">zypper<"))
    status, out, err = said(capsys, file)
    assert status == 0
    assert "zypper" in out
    assert f"{file}:8:1: error[KL0901]" in err


def test_a_description_with_mistakes_is_shown_with_status_1(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TEXT.replace("<package name", '<file name="missing"/><package name', 1))
    status, out, err = said(capsys, file)
    assert status == 1
    assert "missing" in out
    assert f"{file}:13:7: error[KL0301]" in err


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<version>", "<verson>", "KL0006"),
        ("</preferences>", '<type image="iso" primary="false"/></preferences>', "KL0205"),
        ('filesystem="xfs"', 'filesystem="xsf"', "KL0105"),
    ],
)
def test_what_leaves_open_what_holds_is_refused(
    file: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, code: str
) -> None:
    file.write_text(TEXT.replace(old, new))
    status, out, err = said(capsys, file)
    assert (status, out) == (1, "")
    assert code in err


def test_an_unknown_profile_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = said(capsys, file, "--profile=moer")
    assert (status, out) == (1, "")
    assert "more" in err


def test_an_unknown_format_is_a_usage_mistake(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = said(capsys, file, "--format=toml")
    assert status == 2
    assert "text, xml, json, yaml" in err


def test_it_can_go_into_a_file(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "resolved.kiwi"
    status, out, _ = said(capsys, file, "--format=xml", f"--output={target}")
    assert (status, out) == (0, "")
    assert main(["description", "show", str(target)]) == 0


def test_a_file_that_cannot_be_written_is_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "nowhere/out.xml"
    status, _, err = said(capsys, file, f"--output={target}")
    assert status == 1
    assert str(target) in err
    assert "No such file" in err
