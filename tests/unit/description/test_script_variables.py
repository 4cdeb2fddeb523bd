"""A script is given the variables it looks at, and all of them where that cannot be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import minimal, write

from kiwilite.build import scripts
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.description.script_variables import OF_HELPERS

USUAL = "#!/bin/bash\nset -eu\ntest -f /.kconfig && . /.kconfig\n. /.profile\n"


def resolved(folder: Path, body: str = minimal()) -> Appliance:
    appliance, _ = load(write(folder, body), arch="x86_64")
    return appliance


def given(folder: Path, script: str) -> set[str]:
    """What config.sh is given, by name; "all" where it is everything."""
    (folder / "config.sh").write_text(USUAL + script)
    appliance = resolved(folder)
    if appliance.script_variables == appliance.environment:
        return {"all"}
    return {name for name, _ in appliance.script_variables}


def test_without_a_script_nobody_is_given_any(tmp_path: Path) -> None:
    appliance = resolved(tmp_path)
    assert appliance.environment
    assert appliance.script_variables == appliance.bootstrap_variables == ()


@pytest.mark.parametrize(
    ("script", "names"),
    [
        ("true", set()),
        ('echo "$kiwi_iname ${kiwi_iversion:?}"', {"kiwi_iname", "kiwi_iversion"}),
        ("if baseGetProfilesUsed | grep x; then true; fi", {"kiwi_profiles"}),
        ("#!/usr/bin/env python3\nset -x", set()),
    ],
)
def test_a_script_is_given_what_it_names(tmp_path: Path, script: str, names: set[str]) -> None:
    assert given(tmp_path, script) == names


@pytest.mark.parametrize(
    "script",
    [
        "env | sort",
        "printenv kiwi_iname",
        "export -p",
        "set | grep kiwi",
        "set\n",
        'for v in ${!kiwi_*}; do echo "$v"; done',
        "name=kiwi_oem$part; echo ${!name}",
        "eval echo \\$kiwi_$1",
        "cat /.profile >/etc/build",
        "grep cmdline /.profile",
        "python3 -c 'import os; print(os.environ)'",
        "tr '\\0' '\\n' </proc/self/environ",
        'echo "$kiwi_of_another_kiwi"',
        "declare -px",
    ],
)
def test_a_script_that_reads_more_is_given_all(tmp_path: Path, script: str) -> None:
    assert given(tmp_path, script) == {"all"}


def test_what_a_script_may_call_counts_too(tmp_path: Path) -> None:
    (tmp_path / "root/usr/bin").mkdir(parents=True)
    (tmp_path / "root/usr/bin/tool").write_text('#!/bin/sh\necho "$kiwi_cmdline"\n')
    assert given(tmp_path, "tool") == {"kiwi_cmdline"}


def test_nobody_looks_into_archives(tmp_path: Path) -> None:
    (tmp_path / "config.sh").write_text(USUAL)
    (tmp_path / "x.tar").write_bytes(b"")
    archive = '<packages type="image"><archive name="x.tar"/></packages>'
    appliance = resolved(tmp_path, minimal(top=archive))
    assert appliance.script_variables == appliance.environment


def test_post_bootstrap_is_given_what_it_names_itself(tmp_path: Path) -> None:
    (tmp_path / "config.sh").write_text(f"{USUAL}echo $kiwi_iversion")
    (tmp_path / "post_bootstrap.sh").write_text(f"{USUAL}echo $kiwi_iname")
    appliance = resolved(tmp_path)
    assert [name for name, _ in appliance.bootstrap_variables] == ["kiwi_iname"]
    assert [name for name, _ in appliance.script_variables] == ["kiwi_iversion"]


def test_the_helpers_are_those_that_look_at_variables() -> None:
    lines = [line for line in scripts.HELPERS.read_text().splitlines() if "kiwi_" in line]
    assert len(lines) == len(OF_HELPERS)
    for helper, name in OF_HELPERS.items():
        assert any(line.startswith(f"{helper.decode()}()") and name in line for line in lines)
