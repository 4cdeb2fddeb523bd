"""A umask that lets the group write must not change an image."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kiwilite.build.modes import meant_mode


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        (0o100664, 0o644),
        (0o100644, 0o644),
        (0o40775, 0o755),
        (0o100775, 0o755),
        (0o100440, 0o440),
        (0o100600, 0o600),
        (0o104755, 0o4755),
        (0o42775, 0o2775),
        (0o41777, 0o1777),
        (0o100660, 0o660),
    ],
)
def test_only_what_a_umask_of_002_leaves_is_undone(found: int, meant: int) -> None:
    assert meant_mode(found) == meant


@pytest.mark.parametrize("executable", [False, True])
def test_checkouts_with_umask_002_and_022_mean_the_same(tmp_path: Path, executable: bool) -> None:
    meant = set()
    for umask in (0o002, 0o022):
        before = os.umask(umask)
        try:
            path = tmp_path / f"{umask}"
            path.touch(0o777 if executable else 0o666)
        finally:
            os.umask(before)
        meant.add(meant_mode(stat.S_IMODE(path.stat().st_mode)))
    assert meant == {0o755 if executable else 0o644}
