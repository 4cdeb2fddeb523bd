"""What `kiwilite doctor` finds on hosts that lack something, and what it says to do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kiwilite.build import doctor, namespace_check
from kiwilite.build.configuration import Configuration
from kiwilite.build.findings import Finding, Verdict, packages_to_install, status
from kiwilite.build.namespace_causes import APPARMOR, CLONE, SWITCHES, Surroundings, Switch
from kiwilite.build.tools import TOOLS, DataFile, Tool, Use
from kiwilite.cli import doctor as command
from kiwilite.errors import HostError, KiwiliteError, UsageError


def program(folder: Path, name: str, script: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo tool 4.5.1", "4.5.1"),
        ("echo 'tool version 1.47.0 (5-Feb-2023)' >&2", "1.47.0"),
        ("echo '*** CLI (64-bit) v1.5.4, by Somebody ***'", "1.5.4"),
        ("echo tool 2.6.1; exit 1", "2.6.1"),
        ("echo 'version 1.21.22 (amd64).'", "1.21.22"),
        ("echo 3.13~rc1+b2", "3.13~rc1+b2"),
        ("echo usage: tool FILE", None),
        ("printf '\\377\\376 1.2'", "1.2"),
    ],
)
def test_a_version_is_found_wherever_a_tool_prints_it(
    tmp_path: Path, script: str, version: str | None
) -> None:
    assert doctor.tool_version(program(tmp_path, "tool", script), "--version") == version


def test_a_tool_that_is_not_there_names_its_package() -> None:
    (found,) = doctor.examine_tools([Tool("no-such-tool", "its-package", "nothing")])
    assert (found.verdict, found.package) == (Verdict.BROKEN, "its-package")
    assert packages_to_install([found]) == ("its-package",)


@pytest.mark.parametrize("use", [Use.VM, Use.TEST])
def test_what_builds_can_do_without_is_a_warning(use: Use) -> None:
    (found,) = doctor.examine_tools([Tool("no-such-tool", "its-package", "nothing", use=use)])
    assert found.verdict is Verdict.LACKING


@pytest.mark.parametrize(("uid", "verdict"), [(0, Verdict.LACKING), (1000, Verdict.BROKEN)])
def test_newuidmap_is_missed_by_ordinary_users_only(
    monkeypatch: pytest.MonkeyPatch, uid: int, verdict: Verdict
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    (found,) = doctor.examine_tools([Tool("no-such-tool", "uidmap", "ids", use=Use.USER_BUILD)])
    assert found.verdict is verdict


def test_a_program_of_a_private_folder_is_found_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "my-tool", "echo 7.8")
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = doctor.examine_tools([Tool("my-tool", "my-package", "nothing")])
    assert (found.verdict, found.found) == (Verdict.FINE, "7.8")


def test_a_file_that_is_needed_may_be_in_any_folder_that_fits(tmp_path: Path) -> None:
    item = DataFile("library", "its-package", "nothing", "usr/lib/*/faketime/lib.so")
    assert doctor._data_file(item, tmp_path).verdict is Verdict.BROKEN
    place = tmp_path / "usr/lib/some-architecture/faketime/lib.so"
    place.parent.mkdir(parents=True)
    place.touch()
    assert doctor._data_file(item, tmp_path).verdict is Verdict.FINE


def test_a_library_that_is_not_installed_has_a_command() -> None:
    _, found = doctor.examine_libraries({"no-such-library": "nothing"})
    assert found.verdict is Verdict.BROKEN
    assert found.remedy and "pip install no-such-library" in found.remedy


def around(switch: Switch, uid: int) -> Surroundings:
    return Surroundings(uid, {switch.name: switch.blocking})


@pytest.mark.parametrize("item", SWITCHES, ids=lambda s: s.name)
def test_a_setting_that_forbids_namespaces_has_the_command_that_allows_them(item: Switch) -> None:
    found = namespace_check.examine_switch(item, around(item, 1000), works=False)
    assert found.verdict is Verdict.BROKEN
    assert found.remedy and f"{item.name} = {item.wanted}" in found.remedy


@pytest.mark.parametrize("item", SWITCHES, ids=lambda s: s.name)
def test_a_setting_does_not_count_where_the_namespace_works(item: Switch) -> None:
    found = namespace_check.examine_switch(item, around(item, 1000), works=True)
    assert found.verdict is Verdict.FINE


def test_root_is_not_bound_by_settings_for_ordinary_users() -> None:
    found = namespace_check.examine_switch(CLONE, around(CLONE, 0), works=False)
    assert found.verdict is Verdict.FINE


def test_a_kernel_without_the_setting_is_fine() -> None:
    found = namespace_check.examine_switch(APPARMOR, Surroundings(1000, {}), works=False)
    assert found.verdict is Verdict.FINE


def test_a_namespace_that_is_refused_is_told_as_a_build_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise HostError("unshare: Operation not permitted", hint="do something")

    monkeypatch.setattr(namespace_check, "run_inside", refuse)
    last = list(namespace_check.examine_namespaces())[-1]
    assert last.verdict is Verdict.BROKEN
    assert "Operation not permitted" in last.found
    assert last.remedy == "do something"


def test_a_range_of_ids_may_be_given_by_number(tmp_path: Path) -> None:
    table = tmp_path / "subuid"
    table.write_text("1000:100000:65536\n")
    assert namespace_check.examine_range(table, 1000).verdict is Verdict.FINE


def test_a_range_that_is_too_small_does_not_count(tmp_path: Path) -> None:
    table = tmp_path / "subgid"
    table.write_text("1000:100000:1000\n")
    found = namespace_check.examine_range(table, 1000)
    assert found.verdict is Verdict.BROKEN
    assert found.remedy and "--add-subgids" in found.remedy


def test_little_room_is_a_warning_and_a_store_that_cannot_be_written_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "not" / "yet" / "there"
    monkeypatch.setattr(doctor, "ROOM_FOR_ONE_IMAGE", 1 << 80)
    assert doctor.examine_room(store).verdict is Verdict.LACKING
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert doctor.examine_room(store).verdict is Verdict.BROKEN


def test_a_mirror_is_shown_with_who_named_it(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/debian stable main\n")
    (tmp_path / "tool").write_text("my $mirror = 'http://default.example/kali';\n")
    configuration = Configuration(mirrors={"ubuntu": "http://other.example/ubuntu"})
    debian, kali, ubuntu = doctor.examine_mirrors(configuration, tmp_path, tmp_path / "tool")
    assert (debian.name, debian.found) == ("distro:debian", "http://mirror.example/debian")
    assert str(tmp_path) in debian.purpose
    assert kali.purpose.startswith("from tool")
    assert "kiwilite.yml" in ubuntu.purpose


def test_a_host_without_any_mirror_is_told_where_to_name_one(tmp_path: Path) -> None:
    (found,) = doctor.examine_mirrors(Configuration(), tmp_path, tmp_path / "no-tool")
    assert found.verdict is Verdict.LACKING
    assert found.remedy and "kiwilite.yml" in found.remedy


FINE = Finding("tools", "one", Verdict.FINE, "1.0", package="fine")
LACKING = Finding("tools", "two", Verdict.LACKING, "not installed", package="b")
BROKEN = Finding("tools", "three", Verdict.BROKEN, "not installed", package="a")
REMEDY = Finding("places", "four", Verdict.BROKEN, "wrong", remedy="set it right")


def test_the_worst_finding_decides() -> None:
    assert status([]) is Verdict.FINE
    assert status([FINE, LACKING]) is Verdict.LACKING
    assert status([BROKEN, FINE, LACKING]) is Verdict.BROKEN


def test_the_text_ends_with_one_command_for_all_packages_and_each_remedy() -> None:
    text = command.as_text([FINE, LACKING, BROKEN, REMEDY])
    assert "apt-get install a b\n" in text
    assert "four:\n    set it right" in text
    assert "\x1b" not in text


def lacking(package: str) -> Finding:
    return Finding("tools", "five", Verdict.BROKEN, "not installed", package=package)


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (("mtools", "squashfs-tools"), "those with --tools tree need none"),
        (("mtools", "zstd", "apt"), "those with --tools tree need only apt, zstd"),
    ],
)
def test_what_a_tools_tree_brings_is_said(packages: tuple[str, ...], words: str) -> None:
    assert words in command.as_text([lacking(package) for package in packages])
    assert "--tools tree" not in command.as_text([lacking("zstd")])


def test_where_tools_come_from_a_tree_the_host_may_lack_them() -> None:
    def verdicts(configuration: Configuration) -> list[Verdict]:
        found = map(lacking, ("mtools", "zstd"))
        return [f.verdict for f in doctor.as_needed(configuration.tools, found)]

    assert verdicts(Configuration()) == [Verdict.BROKEN, Verdict.BROKEN]
    assert verdicts(Configuration(tools="tree")) == [Verdict.LACKING, Verdict.BROKEN]


@pytest.mark.parametrize(
    ("findings", "expected"),
    [([FINE], 0), ([FINE, LACKING], 0), ([FINE, BROKEN], HostError.exit_status)],
)
def test_the_exit_status_is_3_only_when_builds_cannot_be_done(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    findings: list[Finding],
    expected: int,
) -> None:
    monkeypatch.setattr(command, "examine", lambda *_: tuple(findings))
    monkeypatch.setattr(command, "_virtual_machines", lambda: iter(()))
    assert command.main(["doctor", "--format=json"]) == expected
    shown = json.loads(capsys.readouterr().out)
    assert [f["name"] for f in shown["findings"]] == [f.name for f in findings]


def test_another_format_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="text or json"):
        command.main(["doctor", "--format=yaml"])


def test_a_configuration_file_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KiwiliteError, match="no such configuration"):
        command.main(["doctor", "--config=/no/such/file.yml"])


def test_every_tool_on_this_host_tells_a_version() -> None:
    for found in doctor.examine_tools(TOOLS):
        if found.verdict is Verdict.FINE:
            assert found.found[0].isdigit(), found
