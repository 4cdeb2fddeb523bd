"""After a kill -9, a full disk or damage in the store the next build gives the same bytes.

Ten random cases are in the normal suite; `make soak` has 100 random kills and 20 random sizes of
the disk.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from disturbed import AGAIN, LARGE, Ground, SmallDisk, plan, prepare, small_disk
from tiny_appliance import Appliance, run_words

pytestmark = pytest.mark.build

FULL_STATUS = 6
SELECTION = ("find-bootstrap", "resolve-packages")
"""Steps that run before a build knows the keys of the others."""


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
    ground.forget(also=AGAIN if whole else [])
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


def entry_of(ground: Ground, step: str) -> Path:
    """The entry of a step of the last build."""
    rows = plan(ground.appliance)["steps"]
    return ground.store / "entries" / next(row["key"] for row in rows if row["name"] == step)


def flip(path: Path, offset: int) -> None:
    """Change one bit as failing hardware does: no stat shows it."""
    before = path.stat()
    with path.open("r+b") as stream:
        stream.seek(offset)
        old = stream.read(1)
        stream.seek(offset)
        stream.write(bytes([old[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_flipped_bit_in_a_tree_or_image_gets_into_no_image(ground: Ground) -> None:
    ground.forget()
    assert ground.appliance.build().status == 0
    flip(entry_of(ground, "customise") / "out/tree/usr/bin/dash", 1000)
    flip(entry_of(ground, "disk") / "out/disk.raw", 50 << 20)
    shutil.rmtree(entry_of(ground, "root"))
    shutil.rmtree(ground.target)
    again = ground.appliance.build()
    assert again.status == 0, again.err
    assert "customise was damaged in the store" in again.err
    assert "out/tree/usr/bin/dash: has another content" in again.err
    ground.demand_same_bytes()


def test_verify_names_the_file_in_the_tree(ground: Ground) -> None:
    assert ground.appliance.build().status == 0
    bootstrap = entry_of(ground, "bootstrap")
    try:
        flip(bootstrap / "out/tree/usr/bin/dash", 1000)
        done = subprocess.run(
            store_command(ground.appliance, "verify"), capture_output=True, text=True, check=False
        )
        assert done.returncode == 1, done.stderr
        assert "out/tree/usr/bin/dash: has another content" in done.stdout
    finally:
        flip(bootstrap / "out/tree/usr/bin/dash", 1000)
        (bootstrap / "damaged").unlink(missing_ok=True)


def test_a_build_is_undisturbed_by_a_store_that_is_emptied_beside_it(
    ground: Ground, tmp_path: Path
) -> None:
    assert ground.appliance.build().status == 0
    rows = plan(ground.appliance)["steps"]
    keys = [row["key"] for row in rows if row["name"] not in SELECTION]
    ground.forget()
    run_words("cp", "-a", "--reflink=auto", ground.store, tmp_path / "store")
    appliance = Appliance(ground.appliance.folder, tmp_path / "out", tmp_path / "store")
    child = appliance.start()
    command = [*store_command(appliance, "gc"), "--max-size", "1M"]
    rounds = 0
    while child.poll() is None:
        # While it selects packages a build does not know its keys, and holds nothing.
        making = {path.name[:16] for path in (appliance.store / "work").iterdir()}
        if any(key[:16] in making for key in keys):
            subprocess.run(command, capture_output=True, check=True)
            rounds += 1
        time.sleep(0.05)
    _, err = child.communicate(timeout=300)
    assert child.returncode == 0, err
    assert rounds
    assert "  packages  " not in err
    replace(ground, appliance=appliance).demand_same_bytes()


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
    ground.forget(also=AGAIN if number % 10 == 1 else [])
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
