"""`kiwilite description init`: what it writes is correct, and it writes over nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from kiwilite.cli.main import main
from kiwilite.description.load import load
from kiwilite.description.schema import schema_file
from kiwilite.description.skeleton import fault_of_name, skeleton
from kiwilite.plan.compile import compile
from kiwilite.plan.selection import Unselected


@pytest.fixture
def kiosk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A description just begun."""
    monkeypatch.chdir(tmp_path)
    assert main(["description", "init", "kiosk"]) == 0
    return tmp_path / "kiosk"


@pytest.mark.parametrize("profiles", [[], ["product"], ["debug"]])
@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_a_new_description_is_valid_and_gives_no_warning(
    kiosk: Path, profiles: list[str], arch: str
) -> None:
    appliance, found = load(kiosk, profiles, arch=arch)
    assert (appliance.name, found) == ("kiosk", ())


@pytest.mark.parametrize("profiles", [[], ["debug"]])
def test_a_new_description_compiles_to_a_plan(kiosk: Path, profiles: list[str]) -> None:
    appliance, _ = load(kiosk, profiles, arch="x86_64")
    plan = compile(
        appliance, bootstrap_archive=None, epoch=None, packages=Unselected("0"), mirrors={}
    )
    assert [p.name for p in plan.partitions] == ["p.legacy", "p.UEFI", "home", "p.lxreadonly"]


def test_the_plan_of_a_new_description_can_be_shown(kiosk: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kiwilite", "system", "plan", f"--description={kiosk}"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "p.lxreadonly" in done.stdout
    assert done.stderr == ""


def test_each_profile_takes_its_own_tree_along(kiosk: Path) -> None:
    assert [p.name for p in load(kiosk, arch="x86_64")[0].overlay_trees] == ["root"]
    trees = load(kiosk, ["debug"], arch="x86_64")[0].overlay_trees
    assert [p.name for p in trees] == ["root", "debug"]


def test_what_its_comments_offer_is_correct_too(kiosk: Path) -> None:
    """A volume that keeps what is written, and the XML Schema for editors that need it."""
    file = kiosk / "appliance.kiwi"
    text = file.read_text()
    luks = re.search(r"^ +(luks=.*)$", text, re.MULTILINE)
    hint = re.search(r'xmlns:xsi="[^"]*"\s+xsi:noNamespaceSchemaLocation="[^"]*"', text)
    assert luks
    assert hint
    head, body = text.split("-->", 1)
    body = body.replace('overlayroot_write_partition="false" ', f"{luks[1]} ")
    body = body.replace("<image ", f"<image {hint[0]} ")
    body = body.replace('name="dmsetup"', 'name="xfsprogs"')
    file.write_text(f"{head}-->{body}")
    (kiosk / "passphrase").write_text("secret")
    appliance, found = load(kiosk, arch="x86_64")
    assert [d.code for d in found] == ["KL0602"], "that the passphrase travels along is always said"
    assert appliance.type.overlay
    assert appliance.type.overlay.write_partition


def test_nobody_can_log_in_with_a_password_that_others_know(kiosk: Path) -> None:
    text = (kiosk / "appliance.kiwi").read_text()
    assert set(re.findall(r'password="([^"]*)"', text)) == {"*"}
    assert "pwdformat" not in text


def test_it_names_the_schema_for_editors(kiosk: Path) -> None:
    root = etree.parse(str(kiosk / "appliance.kiwi")).getroot()
    (model,) = (node for node in root.itersiblings(preceding=True) if node.tag is etree.PI)
    named = dict(re.findall(r'(\w+)="([^"]*)"', model.text or ""))
    grammar = etree.parse(str(schema_file("kiwilite.rng"))).getroot()
    assert named["href"] == "urn:kiwilite:schema:kiwilite.rng"
    assert named["schematypens"] == etree.QName(grammar).namespace


def test_every_section_has_a_comment_before_it(kiosk: Path) -> None:
    root = etree.parse(str(kiosk / "appliance.kiwi")).getroot()
    sections = [child for child in root if isinstance(child.tag, str)]
    uncommented = [s.tag for s in sections if isinstance(getattr(s.getprevious(), "tag", ""), str)]
    assert uncommented == ["repository"], "the second of two"


def test_its_scripts_pass_shellcheck_and_can_be_executed(kiosk: Path) -> None:
    scripts = sorted(kiosk.glob("*.sh"))
    assert scripts
    assert all(os.access(script, os.X_OK) for script in scripts)
    command = ["shellcheck", *map(str, scripts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_its_files_are_readable_for_all_and_writable_for_the_owner(kiosk: Path) -> None:
    for path in [kiosk, *kiosk.rglob("*")]:
        executable = path.is_dir() or path.suffix == ".sh"
        assert path.stat().st_mode & 0o777 == (0o755 if executable else 0o644)


def test_another_folder_may_be_given(tmp_path: Path) -> None:
    assert main(["description", "init", "kiosk", f"--output={tmp_path}/here"]) == 0
    assert load(tmp_path / "here", arch="x86_64")[0].name == "kiosk"


@pytest.mark.parametrize("kind", ["folder", "full folder", "file", "link to nowhere"])
def test_what_exists_is_left_alone(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "kiosk"
    if "folder" in kind:
        target.mkdir()
    if kind == "full folder":
        (target / "appliance.kiwi").write_text("mine")
    if kind == "file":
        target.write_text("mine")
    if kind == "link to nowhere":
        target.symlink_to("nowhere")
    before = [(p, p.lstat().st_mtime_ns) for p in sorted(tmp_path.rglob("*"))]
    assert main(["description", "init", "kiosk", f"--output={target}"]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [(p, p.lstat().st_mtime_ns) for p in sorted(tmp_path.rglob("*"))] == before


def test_a_failure_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "rename", full)
    assert main(["description", "init", "kiosk", f"--output={tmp_path}/kiosk"]) == 6
    assert "no space left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "needs a name"),
        ("my kiosk", "` ` is not allowed"),
        ("kiösk", "`ö` is not allowed"),
        (".", "begins with `.`"),
        ("../kiosk", "`/` is not allowed"),
        ("appliances/kiosk", "init kiosk --output=appliances/kiosk"),
        ("kiosk/", "init kiosk --output=kiosk/"),
        ("_kiosk", "begins with `_`"),
        ("two\nlines", "`\\n` is not allowed"),
        ("k" * 129, "at most 128 characters"),
    ],
)
def test_a_name_that_no_image_can_have_is_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["description", "init", name]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "hint: " in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a", "7", "kiosk-2.1_x", "k" * 128])
def test_a_good_name_is_the_image_s_name(name: str) -> None:
    assert fault_of_name(name) is None
    (description,) = [f for f in skeleton(name) if f.path.name == "appliance.kiwi"]
    assert etree.fromstring(description.text.encode()).get("name") == name


@pytest.mark.parametrize("option", ["--format=json", "--type=oem", "--arch=x86_64", "--check"])
def test_options_of_the_other_commands_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["description", "init", "kiosk", option]) == 2
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["description", "init", "kiosk", f"--output={tmp_path}/no/kiosk"]) == 2
    assert f"mkdir -p {tmp_path}/no" in capsys.readouterr().err


def test_it_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["description", "init", "kiosk"]) == 0
    said = capsys.readouterr().out
    assert "kiwilite description check kiosk" in said
    editors = re.search(r"are in (.*)$", said, re.MULTILINE)
    assert editors
    assert (Path(editors[1]) / "emacs/kiwilite.el").is_file()


def test_the_help_of_the_group_fits_eighty_columns() -> None:
    from kiwilite.cli.description import USAGE

    assert max(map(len, USAGE.splitlines())) <= 80
