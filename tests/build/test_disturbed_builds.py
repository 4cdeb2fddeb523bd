"""After a kill -9, or a full disk, at any moment the next build gives the same bytes.

Ten cases are in the normal suite; `make soak` has 100 random kills and 20 random sizes of
the disk.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from disturbed import LARGE, Ground, SmallDisk, prepare, small_disk
from tiny_appliance import Appliance, run_words

pytestmark = pytest.mark.build

FULL_STATUS = 6


def cases(usual: int, soak: int) -> list[object]:
    """Numbers of cases: the first in every run of the tests, the others in a soak."""
    others = (pytest.param(n, marks=pytest.mark.soak) for n in range(usual, soak))
    return [*range(usual), *others]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return prepare(tmp_path_factory.mktemp("disturbed"))


def processes_of(session: int) -> list[int]:
    """Process ids of all descendants of a process."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(folder.name))
    found, pending = [], [session]
    while pending:
        pid = pending.pop()
        found.append(pid)
        pending += children.get(pid, [])
    return found


@pytest.mark.parametrize("number", cases(7, 100))
def test_after_a_kill_the_next_build_gives_the_same_bytes(ground: Ground, number: int) -> None:
    chance = random.Random(f"kill {number}")
    whole = number % 25 == 1  # the packages are installed again
    ground.forget(also=["packages"] if whole else [])
    seconds = ground.seconds + (ground.early_seconds if whole else 0)
    child = ground.appliance.start()
    time.sleep(chance.random() * seconds)
    # Mostly the build as a whole; sometimes one of its steps or their tools dies alone.
    victims = processes_of(child.pid) if number % 4 == 3 else [child.pid]
    with contextlib.suppress(ProcessLookupError):
        os.kill(chance.choice(victims), signal.SIGKILL)
    out, err = child.communicate(timeout=300)
    print(f"the build ended with status {child.returncode}")
    assert "Traceback" not in err, f"{err}{out}"
    again = ground.appliance.build()
    assert again.status == 0, again.err
    assert "damaged" not in again.err
    ground.demand_same_bytes()
    run_words(*store_command(ground.appliance, "verify"))


def store_command(appliance: Appliance, word: str) -> list[str]:
    """`kiwilite store …` for the store of an appliance."""
    command = appliance.command()
    return [*command[: command.index("system")], "store", word, "--store", str(appliance.store)]


@pytest.fixture(scope="module")
def small(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    """A small disk with the store of `ground` on it."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    ground.forget()
    with small_disk(tmp_path_factory.mktemp("small") / "disk") as disk:
        run_words(*disk.inside, "cp", "-a", ground.appliance.store, disk.place / "store")
        yield disk


@pytest.fixture(scope="module")
def on_small(ground: Ground, small: SmallDisk) -> tuple[Ground, int]:
    """`ground` with store and target on the small disk, and how much a build takes of it."""
    appliance = Appliance(ground.appliance.folder, small.place / "out", small.place / "store")
    here = replace(ground, appliance=appliance, seen=small.seen)
    before = small.used()
    said = appliance.build(before=small.inside)
    assert said.status == 0, said.err
    return here, small.used() - before


@pytest.mark.parametrize("number", cases(3, 20))
def test_after_a_full_disk_the_next_build_gives_the_same_bytes(
    on_small: tuple[Ground, int], small: SmallDisk, number: int
) -> None:
    ground, needed = on_small
    chance = random.Random(f"full {number}")
    ground.forget(also=["packages"] if number % 10 == 1 else [])
    small.resize(small.used() + int(chance.uniform(0.001, 0.98) * needed))
    try:
        said = ground.appliance.build(before=small.inside)
    finally:
        small.resize(LARGE)
    assert said.status == FULL_STATUS, said.err
    assert "no space left" in said.complaint()
    again = ground.appliance.build(before=small.inside)
    assert again.status == 0, again.err
    assert "damaged" not in again.err
    ground.demand_same_bytes()
    subprocess.run(
        [*small.inside, *store_command(ground.appliance, "verify")],
        env=ground.appliance.environment(),
        check=True,
    )
