"""What the README shows is true: its example builds, its tables are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kiwilite import errors
from kiwilite.cli import image
from kiwilite.description.load import load
from kiwilite.description.vocabulary import vocabulary
from kiwilite.plan.compile import compile
from kiwilite.plan.selection import Unselected

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def example(folder: Path) -> Path:
    """Write the README's description into `folder`: every block below a line with a file name."""
    blocks = re.findall(r"^`([\w./-]+)`:\n\n```\w*\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    for name, text in blocks:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if name.endswith(".sh") else 0o644)
    return folder


def test_the_tree_that_is_shown_is_the_example(tmp_path: Path) -> None:
    folder = example(tmp_path)
    for path in (p for p in folder.rglob("*") if p.is_file()):
        assert path.name in README.split("kiosk/\n")[1].split("```")[0]


def test_the_example_is_correct(tmp_path: Path) -> None:
    appliance, found = load(example(tmp_path), arch="x86_64")
    assert appliance.name == "kiosk"
    assert not [p for p in found if p.severity == "error"]
    assert {name for name, _ in appliance.scripts} == {"config"}
    assert [p.name for p in appliance.overlay_trees] == ["root"]


def test_the_profile_of_the_example_adds_its_tree_and_its_tools(tmp_path: Path) -> None:
    appliance, _ = load(example(tmp_path), ["debug"], arch="x86_64")
    assert [p.name for p in appliance.overlay_trees] == ["root", "debug"]
    assert "strace" in [p.name for p in appliance.packages.image]


def test_the_example_compiles(tmp_path: Path) -> None:
    appliance, _ = load(example(tmp_path), arch="x86_64")
    plan = compile(
        appliance, bootstrap_archive=None, epoch=None, packages=Unselected("0"), mirrors={}
    )
    assert [p.name for p in plan.partitions][-2:] == ["p.lxreadonly", "p.lxroot"]


def test_the_storage_that_is_shown_is_correct_and_compiles(tmp_path: Path) -> None:
    description = example(tmp_path) / "appliance.kiwi"
    shown = README.split("### Storage")[1].split("```xml\n")[1].split("```")[0]
    text = re.sub(r"<type .*</type>", lambda _: shown, description.read_text(), flags=re.DOTALL)
    description.write_text(text)
    for name in ("passphrase", "recovery"):
        (tmp_path / name).write_text("secret")
    appliance, found = load(tmp_path, arch="x86_64")
    assert [p.code for p in found if p.severity != "note"] == ["KL0602", "KL0601", "KL0601"]
    plan = compile(
        appliance, bootstrap_archive=None, epoch=None, packages=Unselected("0"), mirrors={}
    )
    names = [p.name for p in plan.partitions]
    assert names[-3:] == ["p.lxreadonly", "p.lxreadonly-verity", "p.lxroot"]
    assert "tools-verity" in names


def test_every_addition_to_the_language_is_in_the_table() -> None:
    table = README.split("## Additions to KIWI")[1].split("\n## ")[0]
    for form in vocabulary().elements.values():
        for attribute in form.attributes.values():
            if attribute.doc.startswith("kiwilite's own"):
                written = rf'<{form.name} [^>]*\b{attribute.name}="'
                assert re.search(written, table), f"{form.name}@{attribute.name}"


def test_the_table_of_exit_statuses_has_those_of_the_code() -> None:
    table = README.split("## Exit status")[1].split("##")[0]
    shown = {int(n) for n in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    used = {c.exit_status for c in classes if issubclass(c, errors.KiwiliteError)}
    assert shown == used | set(image.STATUS.values()) | {130}


@pytest.mark.parametrize("text", [README, (ROOT / "ARCHITECTURE.md").read_text()])
def test_every_file_that_is_named_is_there(text: str) -> None:
    pattern = r"`((?:kiwilite|tests|schema|man|descriptions|benchmarks|scripts)/[\w./-]*)`"
    named = re.findall(pattern, text)
    assert not [name for name in named if not (ROOT / name).exists()]


def test_every_make_target_that_is_named_is_there() -> None:
    named = set(re.findall(r"\bmake (image|test|setup|[a-z]+-[a-z]+)\b", README))
    makefile = (ROOT / "Makefile").read_text()
    assert named
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in named)
