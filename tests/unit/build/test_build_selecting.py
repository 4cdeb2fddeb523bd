"""What a build chooses is kept for the next one, though nothing had to be installed."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from built_description import EVERYTHING, write_files
from planned_keys import lock, planned, store_beside

from kiwilite.build.host import Identity, ToolDigests
from kiwilite.plan.tree_steps import MorePackages

FROM_PACKAGES = re.sub(r' bootstrap_(package|digest)="[^"]*"', "", EVERYTHING)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ToolDigests, "tool", lambda self, name: Identity(name, name))
    place = tmp_path / "description"
    place.mkdir()
    write_files(place)
    (place / "appliance.kiwi").write_text(FROM_PACKAGES)
    return place


@pytest.mark.parametrize("locked", [False, True], ids=["selected", "locked"])
def test_packages_are_in_use_when_builds_choose_them(folder: Path, locked: bool) -> None:
    if locked:
        lock(folder)
    _, plan, _ = planned(folder)
    step = plan.node("packages").step
    assert isinstance(step, MorePackages)
    cache = store_beside(folder).packages / "debian"
    cache.mkdir()
    chosen = cache / f"{step.package_files[0].sha256}.deb"
    other = cache / f"{'0' * 64}.deb"
    for path in (chosen, other):
        path.touch()
        os.utime(path, (0, 0))
    planned(folder)
    assert chosen.stat().st_atime > 0
    assert other.stat().st_atime == 0
