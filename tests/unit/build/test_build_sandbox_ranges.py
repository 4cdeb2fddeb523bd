"""Tables of subordinate ids, as people and tools leave them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kiwilite.build.sandbox import FOREIGN_BASE, ID_COUNT, IdMap, subordinate_range


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("me:100000:65536\n", (100000, 65536)),
        ("you:1:65536\nme:100000:65536\n", (100000, 65536)),
        ("1000:200000:65536\n", (200000, 65536)),
        ("me:100000:65535\n", (100000, 65535)),
        ("me:100000:1000\nme:300000:70000\n", (300000, 70000)),
        ("  me:100000:65536  \n", (100000, 65536)),
        ("# me:1:65536\n\nme:100000:65536", (100000, 65536)),
        ("me:100000:65534\n", None),
        ("men:100000:65536\n", None),
        ("me:100000\n", None),
        ("me:first:many\n", None),
        ("me:100000:65536:7\n", None),
        ("", None),
    ],
)
def test_the_first_range_large_enough(
    tmp_path: Path, text: str, found: tuple[int, int] | None
) -> None:
    table = tmp_path / "subuid"
    table.write_text(text)
    assert subordinate_range(table, ["me", "1000"]) == found


def test_no_table_is_no_range(tmp_path: Path) -> None:
    assert subordinate_range(tmp_path / "absent", ["me"]) is None


def test_a_map_covers_every_id_once() -> None:
    rows = IdMap(FOREIGN_BASE, FOREIGN_BASE + 1).lines()
    inside = [n for first, _, count in rows for n in range(first, first + count)]
    outside = [n for _, first, count in rows for n in range(first, first + count)]
    assert inside == list(range(ID_COUNT))
    assert len(set(outside)) == ID_COUNT
