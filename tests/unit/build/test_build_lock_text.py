"""The text of a lock: what is written is read, a change is a line, and nonsense is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from kiwilite.build.lock_text import BadLock, read, write
from kiwilite.plan.lock import Lock, Locked, LockedArchive, LockedTool, LockedTree, Question
from kiwilite.plan.selection import Archived, PackageFile, Place, RepositoryState, Selection


def package(name: str, version: str = "1:1.0~rc-1+b2", snapshot: str | None = None) -> PackageFile:
    place = Place("distro:debian", "trixie/main", snapshot, f"pool/{name}.deb")
    return PackageFile(name, version, "amd64", 12, "ab" * 32, 4096, place)


LOCKED = Locked(
    question=Question(("passwd",), ("kmod", "vim"), False, "base", ("distro:debian trixie main",)),
    repositories=(
        RepositoryState(
            "distro:debian", "trixie", "main", None, "Thu, 01 Jan 2026 00:00:00 UTC", None
        ),
    ),
    archive=LockedArchive("base", "cd" * 32, package("base")),
    selection=Selection(
        (package("apt"),),
        (package("kmod"), package("vim", snapshot="20260101T000000Z")),
        (Archived("libc6", "2.41", "amd64", 100),),
        ("vim",),
    ),
    tools=(LockedTool("tar", "1.34", "ef" * 32),),
)
LOCK = Lock(
    {
        "b x86_64 oem": LOCKED,
        "a x86_64 oem": replace(LOCKED, archive=None, selection=Selection((), ())),
        "c x86_64 oem": replace(
            LOCKED, tools=(), tools_tree=LockedTree(LOCKED.repositories, (package("mtools"),))
        ),
    }
)


def test_what_is_written_is_read() -> None:
    assert read(write(LOCK)) == LOCK


def test_the_same_lock_is_the_same_text_in_whatever_order_it_was_made() -> None:
    turned = Lock(dict(reversed(list(LOCK.selections.items()))))
    assert write(turned) == write(LOCK)
    assert write(read(write(LOCK))) == write(LOCK)


def test_a_new_version_of_a_package_changes_one_line() -> None:
    image = (package("kmod", "2"), LOCKED.selection.image[1])
    changed = LOCK.having(
        "b x86_64 oem", replace(LOCKED, selection=replace(LOCKED.selection, image=image))
    )
    lines, others = write(LOCK).splitlines(), write(changed).splitlines()
    (row,) = [(a, b) for a, b in zip(lines, others, strict=True) if a != b]
    assert '"name": "kmod"' in row[0]


def test_a_name_asked_for_is_a_line() -> None:
    assert '     "kmod",\n     "vim"\n' in write(LOCK)


def refused(text: str) -> BadLock:
    with pytest.raises(BadLock) as caught:
        read(text)
    return caught.value


def test_a_conflict_of_version_control_is_told_with_its_line() -> None:
    lines = write(LOCK).splitlines()
    lines.insert(3, "<<<<<<< HEAD")
    assert refused("\n".join(lines)).line == 4


def test_a_later_version_is_not_guessed_at() -> None:
    assert "version 2" in str(refused('{"version": 2, "selections": {}}'))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"version": 1}', "[" * 100_000])
def test_what_is_no_lock_is_refused(text: str) -> None:
    refused(text)


def changed(**row: Any) -> str:
    """The lock with other values in one package."""
    data = json.loads(write(LOCK))
    data["selections"]["b x86_64 oem"]["image"][0].update(row)
    return json.dumps(data)


@pytest.mark.parametrize(
    "row",
    [
        {"sha256": "../../../etc/passwd"},
        {"sha256": "AB" * 32},
        {"sha256": "ab" * 32 + "\n"},
        {"size": "12"},
        {"size": -1},
        {"size": True},
        {"name": ""},
        {"name": ["kmod"]},
        {"file": "pool/../../../etc/shadow"},
        {"repository": None},
    ],
)
def test_a_package_with_nonsense_in_it_is_refused_by_the_selection_s_name(
    row: dict[str, Any],
) -> None:
    assert str(refused(changed(**row))).startswith("b x86_64 oem: ")


@pytest.mark.parametrize(
    "part", ["asked", "repositories", "bootstrap_archive", "bootstrap", "image", "large", "tools"]
)
@pytest.mark.parametrize("value", ["nonsense", 7, [7]])
def test_a_part_with_nonsense_in_it_is_refused(part: str, value: Any) -> None:
    data = json.loads(write(LOCK))
    data["selections"]["b x86_64 oem"][part] = value
    refused(json.dumps(data))


@pytest.mark.parametrize(
    "part", ["asked", "repositories", "bootstrap_archive", "bootstrap", "image", "tools"]
)
def test_a_part_that_is_missing_is_named(part: str) -> None:
    data = json.loads(write(LOCK))
    del data["selections"]["b x86_64 oem"][part]
    assert part in str(refused(json.dumps(data)))


def test_a_lock_made_before_packages_went_in_twice_still_says_what_it_said() -> None:
    data = json.loads(write(LOCK))
    del data["selections"]["b x86_64 oem"]["large"]
    found = read(json.dumps(data)).selections["b x86_64 oem"]
    assert found == replace(LOCKED, selection=replace(LOCKED.selection, large=()))


def test_what_goes_in_first_is_among_the_packages() -> None:
    data = json.loads(write(LOCK))
    data["selections"]["b x86_64 oem"]["large"].append("emacs")
    assert "emacs" in str(refused(json.dumps(data)))
