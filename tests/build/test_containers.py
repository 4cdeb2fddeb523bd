"""Builds in a container of an ordinary user, and what is said where it forbids them."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_appliance
from container import FIRST, Container
from shared_downloads import take_downloads
from tiny_appliance import PACKAGE, Appliance, Said, run_words

from kiwilite.errors import HostError

pytestmark = [
    pytest.mark.build,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a container its ids"),
]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """The tiny appliance, built by root of the host."""
    tiny = tiny_appliance.make(tmp_path_factory.mktemp("outside"))
    said = tiny.build()
    assert said.status == 0, said.err
    return tiny


def environment_of(appliance: Appliance) -> dict[str, str]:
    """What engines give a command, and the way to our checkout."""
    return {
        "PATH": PATH,
        "HOME": str(appliance.folder.parent),
        "KIWILITE_STORE": str(appliance.store),
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@pytest.mark.parametrize("user", ["root", "build"])
def test_an_image_built_in_a_container_is_the_same(
    outside: Appliance, tmp_path: Path, user: str
) -> None:
    """With nothing in the store but downloads: each step runs inside."""
    tiny = tiny_appliance.make(tmp_path / "inside", tmp_path / "inside/store")
    take_downloads(outside.store, tiny.store)
    container = Container(user, visible=(str(tmp_path / "inside"), str(PACKAGE.parent)))
    run_words("chown", "-R", f"{container.owner}:{container.owner}", tmp_path / "inside")
    done = container.run(tiny.command(), environment_of(tiny))
    assert done.returncode == 0, done.stderr
    assert "bootstrap" in done.stderr
    assert (tiny.target / "SHA256SUMS").read_text() == (outside.target / "SHA256SUMS").read_text()
    run_words("sh", "-c", 'cd "$1" && sha256sum --quiet -c SHA256SUMS', "sh", tiny.target)
    owners = {p.stat().st_uid for p in tiny.target.iterdir()}
    assert owners == {container.owner}
    trees = {p.lstat().st_uid for p in tiny.store.glob("entries/*/out/tree/**/*")}
    assert container.owner in trees
    assert all(FIRST <= uid < FIRST + container.ids for uid in trees)


AS_BUILD = Container("build")
REFUSALS = {
    "none may be made": (Container(most_namespaces="0"), "user.max_user_namespaces is 0"),
    "few ids": (Container(ids=1000), "that of a container with 1000 ids"),
    "no powers over ids": (Container(lacks="setuid"), "may not give ids to a namespace"),
    "a filter": (Container(forbidden="unshare"), "filter of system calls is in the way, it cannot"),
    "a name": (Container(forbidden="sethostname"), "it cannot have a host name of its own"),
    "no range": (replace(AS_BUILD, subordinate=""), "user build has no 65534 subordinate ids"),
    "small range": (replace(AS_BUILD, subordinate="build:1:9\n"), "has no 65534 subordinate ids"),
    "range of others": (
        replace(AS_BUILD, subordinate="build:100000:65536\n"),
        "newuidmap refused: ",
    ),
    "plain helper": (replace(AS_BUILD, helper="plain"), "/newuidmap is neither setuid root nor"),
    "helper without a say": (replace(AS_BUILD, helper="nosuid"), "system is mounted nosuid"),
    "setuid helper": (replace(AS_BUILD, helper="setuid"), "does not suffice in a container"),
    "no new powers": (replace(AS_BUILD, gains_powers=False), "(no_new_privs)"),
    "no helper to run": (replace(AS_BUILD, helper="none"), "newuidmap is not installed"),
}


def container_for(name: str, tiny: Appliance) -> Container:
    """One that forbids builds, in which `tiny` and its store can be used."""
    ground = tiny.folder.parent
    found = replace(REFUSALS[name][0], visible=(str(ground), str(PACKAGE.parent)))
    run_words("chown", "-R", f"{found.owner}:{found.owner}", ground)
    return found


@pytest.fixture
def tiny(tmp_path: Path) -> Appliance:
    """The tiny appliance, and an empty store beside it."""
    return tiny_appliance.make(tmp_path / "inside", tmp_path / "inside/store")


@pytest.mark.parametrize("name", REFUSALS)
def test_what_forbids_a_build_is_named_with_a_remedy(tiny: Appliance, name: str) -> None:
    done = container_for(name, tiny).run(tiny.command(), environment_of(tiny))
    assert done.returncode == HostError.exit_status, done.stderr
    said = Said(done.returncode, done.stdout, done.stderr).complaint()
    assert REFUSALS[name][1] in said.splitlines()[0]
    assert "\n  hint: " in said


@pytest.mark.parametrize("name", ["few ids", "a name", "plain helper"])
def test_the_doctor_names_it_too(tiny: Appliance, name: str) -> None:
    doctor = [sys.executable, "-m", "kiwilite", "doctor", "--format", "json"]
    done = container_for(name, tiny).run(doctor, environment_of(tiny))
    assert done.returncode == HostError.exit_status, done.stderr
    rows = json.loads(done.stdout)["findings"]
    (found,) = (row for row in rows if row["name"] == "namespace")
    assert found["verdict"] == "missing"
    assert REFUSALS[name][1] in found["found"]
    assert found["remedy"]
