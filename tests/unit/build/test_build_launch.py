"""What a process takes on is what it then has; copies of a description have its content."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kiwilite.build.reproduce import clock
from kiwilite.build.reproduce.circumstances import clock_library, clock_variables, ways_to_python
from kiwilite.build.reproduce.folders import copy_description, occupied, other_file_system
from kiwilite.build.reproduce.launch import Circumstances, barred
from kiwilite.build.reproduce.rebuild import ways_to_modules
from kiwilite.build.reproduce.terminal import drained

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can do that")
PROBE = """
import json, os, socket, sys, time
print(json.dumps({
    "umask": os.umask(0), "host": socket.gethostname(), "uid": os.getuid(),
    "groups": os.getgroups(), "processors": sorted(os.sched_getaffinity(0)),
    "terminal": sys.stdin.isatty(), "time": time.time(),
    "readable": [p for p in sys.argv[1:] if os.access(p, os.R_OK)],
}))
"""


def probed(circumstances: Circumstances, *paths: Path) -> dict[str, Any]:
    """What a process under these circumstances sees of itself."""
    done = subprocess.run(
        circumstances.command("-c", PROBE, *map(str, paths)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(ways_to_modules())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_umask_and_processors() -> None:
    last = sorted(os.sched_getaffinity(0))[-1]
    found = probed(Circumstances(umask=0o027, processors=(last,)))
    assert (found["umask"], found["processors"]) == (0o027, [last])


@AS_ROOT
def test_a_host_name_for_this_process_only() -> None:
    before = socket.gethostname()
    assert probed(Circumstances(hostname="elsewhere"))["host"] == "elsewhere"
    assert socket.gethostname() == before


@AS_ROOT
def test_another_user_reaches_what_is_named_through_closed_folders(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "way/named").mkdir(parents=True)
    for path in (closed / "way/named/file", closed / "secret"):
        path.write_text("x")
        path.chmod(0o644)
    closed.chmod(0o700)
    nobody = pwd.getpwnam("nobody")
    # tmp_path itself lies in a folder of ours.
    visible = (*ways_to_python(), str(closed / "way/named"))
    stranger = Circumstances(user="nobody", visible=visible, umask=0o077)
    found = probed(stranger, closed / "way/named/file", closed / "secret")
    assert found["uid"] == nobody.pw_uid
    assert 0 not in found["groups"]
    assert found["umask"] == 0o077
    assert found["readable"] == [str(closed / "way/named/file")]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def test_folders_that_bar_the_way_are_found_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    (tmp_path / "closed/inner").mkdir(parents=True)
    (tmp_path / "open").mkdir()
    (tmp_path / "closed").chmod(0o700)
    paths = [tmp_path / "closed/inner", tmp_path / "closed/inner/x", tmp_path / "open/y"]
    found = barred(paths, uid=os.getuid() + 1)
    assert found.get(tmp_path / "closed", paths[:2]) == paths[:2]
    assert not any(paths[2] in below for spot, below in found.items() if spot >= tmp_path)
    assert tmp_path / "closed" not in barred(paths, uid=os.getuid())


@pytest.mark.skipif(clock_library() is None, reason="libfaketime is not installed")
def test_a_clock_that_is_an_hour_fast_for_the_process_and_what_steps_get(tmp_path: Path) -> None:
    library = clock_library()
    assert library is not None
    file = tmp_path / "file"
    file.touch()
    before = time.time()
    found = probed(Circumstances(variables=clock_variables(library)))
    assert found["time"] - before >= 3600
    script = tmp_path / "script.py"
    script.write_text(
        "import runpy; from kiwilite.build import starter; from kiwilite.build.reproduce import "
        "clock; runpy.run_module = lambda *a, **k: print(starter.BASE_ENVIRONMENT['FAKETIME']); "
        "clock.main()"
    )
    done = subprocess.run(
        Circumstances(variables=clock_variables(library)).command(str(script)),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(ways_to_modules())},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "+3600s\n"
    assert clock.__name__.endswith("clock")


def test_a_terminal_s_screen_is_in_the_log(tmp_path: Path) -> None:
    words = "import sys; print(sys.stdin.isatty(), sys.stdout.isatty())"
    with (tmp_path / "log").open("wb") as log, drained(log) as end:
        subprocess.run(
            [sys.executable, "-c", words], stdin=end, stdout=end, check=True
        )  # fmt: skip
    assert (tmp_path / "log").read_text().split() == ["True", "True"]


def description(folder: Path) -> Path:
    (folder / "root/etc").mkdir(parents=True)
    (folder / "appliance.kiwi").write_text("<image/>")
    (folder / "config.sh").write_text("#!/bin/sh\n")
    (folder / "config.sh").chmod(0o755)
    (folder / "root/etc/link").symlink_to("nowhere")
    (folder / "root/etc/secret").write_text("s")
    (folder / "root/etc/secret").chmod(0o600)
    (folder / "build/out").mkdir(parents=True)
    (folder / "build/out/kiwilite.result.json").write_text("{}")
    (folder / "build/out/huge.raw").write_text("huge")
    return folder


def test_a_copied_description_has_the_same_files_and_other_times_and_owners(
    tmp_path: Path,
) -> None:
    source, target = description(tmp_path / "source"), tmp_path / "copy"
    copy_description(source, target)

    def seen(folder: Path) -> dict[str, tuple[int, str]]:
        return {
            str(p.relative_to(folder)): (
                p.lstat().st_mode,
                str(p.readlink()) if p.is_symlink() else p.read_text() if p.is_file() else "",
            )
            for p in folder.rglob("*")
        }

    shutil.rmtree(source / "build/out")
    assert seen(target) == seen(source)
    for path in (target, *target.rglob("*")):
        assert path.lstat().st_mtime < 1_100_000_000, path
        assert (path.lstat().st_uid == 65534) == (os.geteuid() == 0)


def test_the_room_that_files_take(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(os.urandom(100_000))
    with (tmp_path / "hole").open("wb") as out:
        out.truncate(1 << 30)
    assert 100_000 <= occupied(tmp_path) < 200_000


def test_no_file_system_has_room_for_everything(tmp_path: Path) -> None:
    assert other_file_system(tmp_path, 1 << 62) is None
    assert not list(tmp_path.iterdir())
