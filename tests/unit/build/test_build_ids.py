"""Tables of subordinate ids as people and tools leave them, and the maps that are made of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build.ids import (
    FOREIGN_BASE,
    ID_COUNT,
    IdMap,
    Range,
    ids_here,
    map_of_root,
    subordinate_ranges,
    usermod,
)
from kiwilite.errors import HostError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("me:100000:65536\n", [(100000, 65535)]),
        ("you:1:65536\nme:100000:65536\n", [(100000, 65535)]),
        ("1000:200000:65536\n", [(200000, 65535)]),
        ("me:100000:65535\n", [(100000, 65535)]),
        ("me:100000:65534\n", [(100000, 65534)]),
        ("me:100000:1000\nme:300000:70000\n", [(300000, 65535)]),
        ("  me:100000:65536  \n", [(100000, 65535)]),
        ("# me:1:65536\n\nme:100000:65536", [(100000, 65535)]),
        ("me:1:999\nme:1001:64535\n", [(1, 999), (1001, 64535)]),
        ("me:1:999\nyou:5:9\n1000:1001:70000\nme:9:9", [(1001, 65535)]),
        ("me:1:60000\nme:100000:60000\nme:200000:9", [(1, 60000), (100000, 5535)]),
        ("me:1:999\nme:1001:64534\n", None),
        ("me:100000:65533\n", None),
        ("men:100000:65536\n", None),
        ("me:100000\n", None),
        ("me:100000:0\n", None),
        ("me:first:many\n", None),
        ("me:100000:65536:7\n", None),
        ("", None),
    ],
)
def test_one_range_that_is_enough_or_several_together(
    tmp_path: Path, text: str, found: list[tuple[int, int]] | None
) -> None:
    table = tmp_path / "subuid"
    table.write_text(text)
    wanted = None if found is None else tuple(Range(first, count) for first, count in found)
    assert subordinate_ranges(table, ["me", "1000"]) == wanted


def test_no_table_is_no_range(tmp_path: Path) -> None:
    assert subordinate_ranges(tmp_path / "absent", ["me"]) is None


def every(rows: list[tuple[int, int, int]]) -> tuple[list[int], set[int]]:
    """The ids inside in order, and those outside."""
    inside = [n for first, _, count in rows for n in range(first, first + count)]
    return inside, {n for _, first, count in rows for n in range(first, first + count)}


def test_a_map_has_every_id_once() -> None:
    inside, outside = every(IdMap(7, (Range(100, 1000), Range(5000, ID_COUNT - 1001))).lines())
    assert inside == list(range(ID_COUNT))
    assert len(outside) == ID_COUNT
    assert 7 in outside


@pytest.mark.parametrize(
    ("here", "root", "count"),
    [
        ("0 0 4294967295\n", FOREIGN_BASE, ID_COUNT),
        ("0 1000 1\n1 100000 65536\n", 0, ID_COUNT),
        ("0 100000 65536\n", 0, ID_COUNT),
        ("1 100001 65534\n0 1000 1\n", 0, ID_COUNT - 1),
    ],
)
def test_root_takes_ids_that_nobody_has_or_else_those_of_its_container(
    tmp_path: Path, here: str, root: int, count: int
) -> None:
    table = tmp_path / "uid_map"
    table.write_text(here)
    inside, outside = every(map_of_root(ids_here(table)).lines())
    assert inside == list(range(count))
    assert outside == set(range(root, root + count))


@pytest.mark.parametrize("here", ["0 1000 1\n", "0 1000 1\n1 100000 65533\n", "5 5 70000\n"])
def test_root_of_a_small_container_is_told_so(tmp_path: Path, here: str) -> None:
    table = tmp_path / "uid_map"
    table.write_text(here)
    with pytest.raises(HostError, match="that of a container with") as caught:
        map_of_root(ids_here(table))
    assert "usermod --add-subuids" in (caught.value.hint or "")


def test_a_range_is_proposed_behind_those_of_others(tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("somebody:100000:65536\n")
    (tmp_path / "subgid").write_text("somebody:100000:65536\nthird:165536:65536\nnonsense\n")
    command = usermod(tmp_path / "subuid", "me")
    assert command == "usermod --add-subuids 231072-296607 me"
    assert "--add-subgids" in usermod(tmp_path / "subgid", "me")
