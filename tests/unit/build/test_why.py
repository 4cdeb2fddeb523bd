"""What changed is named: parameters, files, steps, tools, libraries, our own code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kiwilite.build.record import StepRecord
from kiwilite.build.why import Reason, why

BASE = StepRecord(
    key="1",
    kind="Uki",
    parameters={
        "on_failure": "halt",
        "switches": ["one", "two"],
        "profiles": [{"BootProfile": {"id": "main", "title": "x", "cmdline": "quiet"}}],
        "variables": [["kiwi_a", "1"], ["kiwi_b", "2"]],
        "overlay": {"OverlayTarget": {"mapping": "luks", "passphrase": {"Secret": "aa"}}},
        "pairs": [1, 2],
    },
    inputs={"boot-files": "k1"},
    files={"root": {".": "0755 folder", "etc/motd": "0644 file aa", "etc/l": "0777 link motd"}},
    code={"kiwilite.boot.uki": "c1"},
    tools={"tar": ("/usr/bin/tar", "t1")},
    libraries={"python": "cpython 3.11.7", "pefile": "1"},
)


def found(**changes: Any) -> list[Reason]:
    return [*why(BASE, replace(BASE, key="2", **changes), "removed")]


def parameter(name: str, value: Any) -> list[Reason]:
    return found(parameters={**BASE.parameters, name: value})


def files(name: str, value: str | None) -> list[Reason]:
    inner = {k: v for k, v in {**BASE.files["root"], name: value}.items() if v is not None}
    return found(files={"root": inner})


def test_a_step_that_the_last_build_did_not_have_was_never_built() -> None:
    assert why(None, BASE, "removed") == (Reason("never built"),)


@pytest.mark.parametrize(
    ("state", "cause"), [("removed", "entry removed"), ("damaged", "entry damaged")]
)
def test_the_same_key_says_what_became_of_the_entry(state: Any, cause: Any) -> None:
    assert why(BASE, BASE, state) == (Reason(cause),)


def test_another_key_without_a_difference_says_so() -> None:
    assert found() == [Reason("unknown")]


def test_a_value_is_shown_before_and_after() -> None:
    assert parameter("on_failure", "reboot") == [
        Reason("parameter", "on_failure", "halt", "reboot", "Uki.on_failure")
    ]


def test_a_part_of_an_item_is_shown_and_not_the_item() -> None:
    profile = {"BootProfile": {"id": "main", "title": "x", "cmdline": "quiet splash"}}
    assert parameter("profiles", [profile]) == [
        Reason("parameter", "cmdline", "quiet", "quiet splash", "BootProfile.cmdline", "main")
    ]


def test_what_a_list_gained_and_lost_is_shown() -> None:
    assert parameter("switches", ["two", "three"]) == [
        Reason("parameter", "switches", None, "three", "Uki.switches", "three"),
        Reason("parameter", "switches", "one", None, "Uki.switches", "one"),
    ]
    reset = {"BootProfile": {"id": "reset", "title": "y", "cmdline": ""}}
    assert parameter("profiles", [*BASE.parameters["profiles"], reset]) == [
        Reason("parameter", "profiles", None, "reset", "Uki.profiles", "reset")
    ]


def test_another_order_is_shown_as_one() -> None:
    assert parameter("switches", ["two", "one"]) == [
        Reason("parameter", "order of switches", ["one", "two"], ["two", "one"], "Uki.switches")
    ]


def test_a_named_value_is_shown_with_its_name() -> None:
    assert parameter("variables", [["kiwi_a", "1"], ["kiwi_b", "3"]]) == [
        Reason("parameter", "variables kiwi_b", "2", "3", "Uki.variables", "kiwi_b")
    ]


def test_a_list_without_names_is_shown_whole() -> None:
    assert parameter("pairs", [1, 3]) == [Reason("parameter", "pairs", [1, 2], [1, 3], "Uki.pairs")]


def test_a_secret_is_never_shown() -> None:
    overlay = {"OverlayTarget": {"mapping": "luks", "passphrase": {"Secret": "bb"}}}
    [reason] = parameter("overlay", overlay)
    assert (reason.what, reason.before, reason.now) == ("passphrase", "(secret)", "(secret)")


def test_another_kind_of_step_is_one_reason() -> None:
    assert found(kind="Esp", parameters={}) == [Reason("parameter", "kind of step", "Uki", "Esp")]


@pytest.mark.parametrize(
    ("name", "value", "before", "now"),
    [
        ("etc/motd", "0644 file bb", "content", "content"),
        ("etc/motd", "0600 file aa", "mode 0644", "mode 0600"),
        ("etc/motd", None, "there", None),
        ("etc/issue", "0644 file aa", None, "there"),
        ("etc/motd", "0777 link issue", "file", "link issue"),
        ("etc/l", "0777 link issue", "link motd", "link issue"),
    ],
)
def test_a_file_within_a_folder_is_named(
    name: str, value: str | None, before: str | None, now: str | None
) -> None:
    assert files(name, value) == [Reason("file", f"root/{name}", before, now)]


def test_the_folder_itself_is_named_by_its_own_name() -> None:
    assert files(".", "0700 folder") == [Reason("file", "root", "mode 0755", "mode 0700")]


def test_steps_tools_libraries_and_code_are_named() -> None:
    assert found(inputs={"boot-files": "k2"}) == [Reason("step", "boot-files")]
    assert found(tools={"tar": ("/usr/bin/tar", "t2")}) == [
        Reason("tool", "tar", "/usr/bin/tar", "/usr/bin/tar")
    ]
    assert found(tools={"tar": ("/bin/tar", "t1")}) == [
        Reason("tool", "tar", "/usr/bin/tar", "/bin/tar")
    ]
    assert found(libraries={"python": "cpython 3.13.5", "pefile": "1"}) == [
        Reason("library", "python", "cpython 3.11.7", "cpython 3.13.5")
    ]
    assert found(code={"kiwilite.boot.uki": "c2"}) == [Reason("code", "kiwilite.boot.uki")]
