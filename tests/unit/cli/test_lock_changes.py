"""What `system lock` says of packages and of a tools tree."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kiwilite.build.locking import Renewed
from kiwilite.cli.lock_changes import changes_as_json, print_changes
from kiwilite.plan.lock import Locked, LockedTree, Question
from kiwilite.plan.selection import PackageFile, Place, Selection


def package(name: str, version: str) -> PackageFile:
    place = Place("distro:debian", "trixie/main", None, f"pool/{name}.deb")
    return PackageFile(name, version, "amd64", 12, "ab" * 32, 4096, place)


PLAIN = Locked(
    Question((), ("vim",), False, None, ()),
    (),
    None,
    Selection((), (package("vim", "1"),)),
    (),
)
OLD = replace(PLAIN, tools_tree=LockedTree((), (package("mtools", "1"), package("xz", "1"))))
NEW = replace(PLAIN, tools_tree=LockedTree((), (package("mtools", "2"), package("xz", "1"))))


def renewed(before: Locked | None, after: Locked) -> Renewed:
    return Renewed(Path("appliance.lock"), "a", before, after)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (None, PLAIN, "a, 1 packages\n"),
        (None, OLD, "a, 1 packages; 2 of the tools tree\n"),
        (PLAIN, OLD, "a, 1 packages, none of them changed; 2 of the tools tree\n"),
        (OLD, OLD, "none of them changed; 2 of the tools tree, none of them changed\n"),
        (OLD, NEW, "none of them changed; 2 of the tools tree, 1 changed\n"),
    ],
)
def test_the_first_line_counts(
    capsys: pytest.CaptureFixture[str], before: Locked | None, after: Locked, words: str
) -> None:
    print_changes(renewed(before, after))
    said = capsys.readouterr().out
    assert words in said
    assert ("mtools (tools)" in said) == (before is OLD and after is NEW)
    assert "xz" not in said


def test_programs_get_the_tools_beside_the_packages() -> None:
    data = json.loads(changes_as_json(renewed(OLD, NEW)))
    assert data["changed"] == []
    (change,) = data["tools"]["changed"]
    assert (change["old"]["version"], change["new"]["version"]) == ("1", "2")
    assert "tools" not in json.loads(changes_as_json(renewed(None, PLAIN)))
