"""The tiny appliance built again under other conditions: the same bytes, or what is not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_build_time_overlay import encrypted
from tiny_appliance import Appliance, make

from kiwilite.build.reproduce.conditions import VARIATIONS

pytestmark = pytest.mark.build

LEAKS = """\
date +%s.%N > /etc/built
nproc > /etc/cpus
hostname > /etc/host-of-build
head -c 9 /dev/urandom | od -An -tx1 > /etc/random
"""
ARCHIVE = 'bootstrap_package="kiwilite-bootstrap-trixie"'
"""Where no minimal tree is in question, none is installed twice."""
PATIENCE = 900
"""Seconds of a build, on a busy machine."""


def command(appliance: Appliance, *words: str) -> list[str]:
    return [
        *(sys.executable, "-m", "kiwilite", "image", "reproduce"),
        *("--description", str(appliance.folder), "--format", "json", *words),
    ]


def reproduced(appliance: Appliance, scratch: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit status, and what was found by name of the variation. Leaves nothing behind."""
    scratch.mkdir()
    done = subprocess.run(
        command(appliance, *words),
        env={**appliance.environment(), "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    assert list(scratch.iterdir()) == []
    rows = json.loads(done.stdout)["variations"]
    return done.returncode, {row["variation"]: row for row in rows}


def complaints(found: dict[str, Any]) -> dict[str, str]:
    """Of the variations that did not end as they should: what went wrong."""
    return {
        name: f"{row['verdict']}: {row['complaint'] or json.dumps(row['files'], indent=1)}"
        for name, row in found.items()
        if row["verdict"] not in ("same", "left out")
    }


@pytest.fixture(scope="module")
def user() -> Iterator[tuple[str, ...]]:
    """Options that name an ordinary user who is made for this; none where we are one."""
    if os.geteuid() != 0:
        yield ()
        return
    name = f"reproduce{os.getpid()}"
    subprocess.run(["useradd", "--no-create-home", "--user-group", name], check=True)
    try:
        yield ("--user", name)
    finally:
        subprocess.run(["userdel", name], check=False, capture_output=True)


def test_the_same_bytes_by_another_user_with_all_other_conditions_at_once(
    tmp_path: Path, user: tuple[str, ...]
) -> None:
    """All that one rebuild can have; `order` is in the next test, `packages` in the soak."""
    status, found = reproduced(
        make(tmp_path), tmp_path / "scratch", "--variations", "stranger", *user
    )
    assert complaints(found) == {}
    assert status == 0
    row = found["stranger"]
    told = {*row["conditions"], *row["left_out"]}
    assert {"folder", "umask", "locale", "time_zone", "processors", "later", "user"} <= told
    assert ("user" in row["conditions"]) == bool(user)


def test_what_a_script_writes_is_named_and_a_volume_key_is_no_fault(tmp_path: Path) -> None:
    leaky = encrypted(tmp_path)
    leaky.change('<packages type="bootstrap">', f'<packages type="bootstrap" {ARCHIVE}>')
    leaky.script("config", LEAKS)
    status, found = reproduced(leaky, tmp_path / "scratch", "--variations", "everything")
    row = found["everything"]
    assert (status, row["verdict"]) == (1, "different"), row["complaint"]
    assert "order" in {*row["conditions"], *row["left_out"]}
    parts = {p["part"]: p for f in row["files"] if f["file"].endswith(".raw") for p in f["parts"]}
    named = {d["path"]: d for d in parts["p.lxreadonly"]["differences"]}
    wanted = {"/etc/built", "/etc/random"}
    if "processors" in row["conditions"]:
        wanted.add("/etc/cpus")
    assert {path for path in named if path.startswith("/")} == wanted
    assert "hash tree" in named
    for path in wanted:
        assert named[path]["first"] != named[path]["second"]
        assert named[path]["offset_in_file"] < 32
    assert parts["p.lxroot"]["on_purpose"]
    assert not parts["p.lxreadonly"]["on_purpose"]
    # The root hash that follows from it, where the boot takes it from.
    assert any("etc/kiwilite/policy" in d["path"] for d in parts["p.UEFI"]["differences"])


def test_an_interrupted_one_leaves_nothing(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    tiny = make(tmp_path)
    child = subprocess.Popen(
        command(tiny),
        env={**tiny.environment(), "TMPDIR": str(scratch)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    begun = time.monotonic()
    while not list(scratch.glob("kiwilite-*/first/store/work/*")):
        assert child.poll() is None and time.monotonic() - begun < PATIENCE
        time.sleep(0.1)
    child.terminate()
    _, said = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130
    assert "interrupted" in said
    assert list(scratch.iterdir()) == []


@pytest.mark.soak
def test_all_twenty_variations(tmp_path: Path, user: tuple[str, ...]) -> None:
    status, found = reproduced(
        make(tmp_path), tmp_path / "scratch", "--variations", str(len(VARIATIONS)), *user
    )
    assert complaints(found) == {}
    assert status == 0
    assert len(found) == len(VARIATIONS)
