"""`system plan --why` from a description to what is printed, with results as they would be."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from built_description import EVERYTHING, write_files
from planned_keys import MIRRORS, lock, make_entries, planned, store_beside

from kiwilite.build.executor import Keyed
from kiwilite.build.host import Identity, ToolDigests
from kiwilite.build.record import last_build, remember_build, seems_changed
from kiwilite.cli.main import main
from kiwilite.description.vocabulary import vocabulary
from kiwilite.plan import image_steps, partitions, tree_steps
from kiwilite.plan.origins import ORIGINS
from kiwilite.plan.selection import Selection

# As a person writes it: every attribute that these tests change has a line of its own.
TEXT = (
    EVERYTHING.replace('bootstrap_package="tree" ', "")
    .replace(re.search(r' bootstrap_digest="[^"]*"', EVERYTHING)[0], "")  # type: ignore[index]
    .replace(' kernelcmdline="quiet"', '\n kernelcmdline="quiet"')
    .replace('pwdformat="encrypted"', 'pwdformat="plain"')
    .replace('password="*"', 'password="tell-nobody"')
)
Say = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "description"
    (place / "root/etc").mkdir(parents=True)
    (place / "root/etc/motd").write_text("hello\n")
    write_files(place)
    (place / "appliance.kiwi").write_text(TEXT)
    mirrors = "".join(f"  {name}: {url}\n" for name, url in MIRRORS.items())
    (tmp_path / "kiwilite.yml").write_text(f"store: {tmp_path}/store\nmirrors:\n{mirrors}")
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))
    monkeypatch.chdir(tmp_path)
    return place


@pytest.fixture
def say(folder: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    def run(*words: str) -> str:
        command = ["system", "plan", "--why", "--description", "description", *words]
        assert main([*command, "--config", "kiwilite.yml"]) == 0
        return capsys.readouterr().out

    return run


def build(folder: Path) -> Keyed:
    """As if a build had ended."""
    appliance, _, keyed = planned(folder)
    make_entries(keyed, store_beside(folder))
    remember_build(keyed, appliance, store_beside(folder))
    return keyed


def line_of(folder: Path, words: str) -> int:
    text = (folder / "appliance.kiwi").read_text()
    return text[: text.index(words)].count("\n") + 1


def edit(folder: Path, old: str, new: str) -> None:
    file = folder / "appliance.kiwi"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_before_the_first_build_all_was_never_built(say: Say) -> None:
    lines = say().splitlines()
    assert [line.split()[0] for line in lines][:3] == ["resolve-packages", "bootstrap", "packages"]
    assert all("never built" in line for line in lines)


def test_where_nothing_would_run_it_says_so(folder: Path, say: Say) -> None:
    build(folder)
    assert say() == "nothing would run: the store has the result of every step\n"
    steps = json.loads(say("--format", "json"))["steps"]
    assert all(step["in_store"] and step["why"] == [] for step in steps)


def test_an_attribute_is_named_with_its_line_and_once(folder: Path, say: Say) -> None:
    build(folder)
    edit(folder, '"quiet"', '"quiet splash"')
    line = line_of(folder, "kernelcmdline")
    at = f"description/appliance.kiwi:{line}"
    assert say().splitlines() == [
        f'uki    type@kernelcmdline: "quiet gpt" → "quiet splash gpt"  ({at})',
        "esp    step uki changes",
        "disk   step esp changes",
        "qcow2  step disk changes",
    ]


def test_data_has_the_same_for_programs(folder: Path, say: Say) -> None:
    build(folder)
    edit(folder, 'timeout="3"', 'timeout="4"')
    (folder / "root/etc/motd").chmod(0o600)
    steps = {step["name"]: step for step in json.loads(say("--format", "json"))["steps"]}
    where = f"description/appliance.kiwi:{line_of(folder, '<bootloader')}"
    assert {
        "cause": "parameter",
        "what": "bootloader@timeout",
        "before": 3,
        "now": 4,
        "where": where,
    } in (steps["esp"]["why"])
    assert steps["customise"]["why"] == [
        {
            "cause": "file",
            "what": "root/etc/motd",
            "before": "mode 0644",
            "now": "mode 0600",
            "where": None,
        }
    ]
    assert steps["packages"]["why"] == []


def test_of_packages_the_new_one_is_named(folder: Path, say: Say) -> None:
    build(folder)
    edit(folder, '<package name="dracut"/>', '<package name="dracut"/>\n<package name="nano"/>')
    line = line_of(folder, 'name="nano"')
    assert f'package@name: added "nano"  (description/appliance.kiwi:{line})' in say()


def test_of_a_lock_the_packages_that_changed_are_named(folder: Path, say: Say) -> None:
    names: list[str] = []

    def other(chosen: Selection) -> Selection:
        first, second, third, *rest = chosen.image
        names.extend((first.name, second.name, third.name))
        rest.append(replace(first, name="zzz"))
        changed = (replace(first, version="2"), replace(second, sha256="f" * 64), *rest)
        return replace(chosen, image=changed)

    lock(folder)
    build(folder)
    assert say() == "nothing would run: the store has the result of every step\n"
    lock(folder, other)
    first, second, third = names
    assert re.findall(r" (package \S+: .*)", re.sub(r"\b[0-9a-f]{64}\b", "1", say())) == [
        f"package {first}: 1 → 2",
        f"package {second}: other content of 1",
        "package zzz: added 1",
        f"package {third}: removed 1",
    ]


def test_passwords_are_neither_said_nor_recorded(folder: Path, say: Say) -> None:
    build(folder)
    (folder / "key").write_text("another-secret\n")
    edit(folder, "tell-nobody", "tell-somebody")
    said = say() + say("--format", "json")
    assert "user@password: changed" in said
    assert "file key: another content" in said
    kept = [p.read_text() for p in (folder.parent / "store/builds").glob("*.json")]
    assert len(kept) == 1
    for secret in ("tell-nobody", "tell-somebody", "another-secret"):
        assert secret not in said
        assert secret not in kept[0]


def test_digests_of_secrets_cannot_be_tried_without_the_store_s_own(folder: Path) -> None:
    appliance, _, keyed = planned(folder)
    records = []
    for name in ("one", "other"):
        store = store_beside(folder / name / "x")
        remember_build(keyed, appliance, store)
        records.append(last_build(appliance, store))
        for path in (store.root / "builds").iterdir():
            assert path.stat().st_mode & 0o077 == 0
    one, other = records
    assert one is not None and other is not None
    assert one["uki"].files["key"] != other["uki"].files["key"]
    assert one["uki"].tools == other["uki"].tools


def test_a_removed_result_and_a_damaged_one_are_told_apart(folder: Path, say: Say) -> None:
    keyed = build(folder)
    entries = folder.parent / "store/entries"
    (entries / keyed.keys["qcow2"] / "out").rmdir()
    assert say() == "qcow2  unchanged, but its result in the store is damaged\n"
    shutil.rmtree(entries / keyed.keys["qcow2"])
    assert say() == "qcow2  unchanged, but its result is no longer in the store\n"


def test_another_tool_is_named(folder: Path, say: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    build(folder)
    monkeypatch.setattr(
        ToolDigests, "tool", lambda self, n: Identity(n, "new" if n == "qemu-img" else n)
    )
    assert say() == (
        "qcow2  tool qemu-img: the bytes of qemu-img changed, or those of a library it loads\n"
    )


def test_a_build_without_a_change_writes_no_record(folder: Path) -> None:
    build(folder)
    [path] = (folder.parent / "store/builds").glob("*.json")
    before = path.stat().st_ino
    build(folder)
    assert path.stat().st_ino == before
    edit(folder, '"quiet"', '"loud"')
    build(folder)
    assert path.stat().st_ino != before


def test_a_broken_record_is_as_good_as_none(folder: Path, say: Say) -> None:
    build(folder)
    [path] = (folder.parent / "store/builds").glob("*.json")
    path.write_text("{")
    edit(folder, '"quiet"', '"loud"')
    assert "never built" in say()


CLASSES = {
    name: value
    for module in (image_steps, tree_steps, partitions)
    for name, value in vars(module).items()
    if is_dataclass(value) and isinstance(value, type)
}


@pytest.mark.parametrize("field", ORIGINS)
def test_every_origin_is_of_a_field_and_in_the_grammar(field: str) -> None:
    kind, _, name = field.partition(".")
    assert name in {f.name for f in fields(CLASSES[kind])}
    element, _, attribute = ORIGINS[field].partition("@")
    forms: list[Any] = [f for f in vocabulary().elements.values() if f.name == element]
    assert forms
    assert not attribute or any(attribute in form.attributes for form in forms)


def test_that_a_description_changed_is_guessed_from_times(folder: Path) -> None:
    appliance, _, keyed = planned(folder)
    store = store_beside(folder)
    assert not seems_changed(appliance, store)
    remember_build(keyed, appliance, store)
    assert not seems_changed(appliance, store)
    os.utime(appliance.file, (later := time.time() + 5, later))
    assert seems_changed(appliance, store)
    os.utime(appliance.file)
    remember_build(keyed, appliance, store)
    assert not seems_changed(appliance, store)
