"""The tools of a locked tree give the same bytes on a Debian 12 and on a Debian 13 host."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import other_host
import pytest
import tooled_appliance
from other_host import OtherHost
from test_lock import sums, system
from tiny_appliance import Appliance, run_words

from kiwilite.build.store import remove_tree

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can be on another host"),
]

SUITES = ("bookworm", "trixie")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, OtherHost]]:
    """Both of them, on this kernel."""
    bases = {suite: tmp_path_factory.mktemp(suite) for suite in SUITES}
    yield {suite: other_host.make(suite, base) for suite, base in bases.items()}
    for base in bases.values():
        remove_tree(base)


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """An appliance, locked with its tools and built here."""
    appliance = tooled_appliance.make(tmp_path_factory.mktemp("here"))
    said = system(appliance, "lock", "--tools", "tree")
    assert said.status == 0, said.err
    built = appliance.build("--tools", "tree")
    assert built.status == 0, built.err
    return appliance


def place(name: str, host: OtherHost, locked: Appliance, user: str) -> Mapping[str, Path]:
    """A cold store of a host, with the packages that were downloaded here, and a target."""
    folders = {f"/{part}": host.work / name / part for part in ("store", "out", "description")}
    packages = folders["/store"] / "packages/debian"
    packages.mkdir(parents=True)
    data = json.loads((locked.folder / "appliance.lock").read_text())
    (selection,) = data["selections"].values()
    rows = (*selection["bootstrap"], *selection["image"], *selection["tools_tree"]["packages"])
    for row in rows:
        file = f"{row['sha256']}.deb"
        shutil.copyfile(locked.store / "packages/debian" / file, packages / file)
    folders["/out"].mkdir()
    shutil.copytree(locked.folder, folders["/description"])
    if user != "root":
        owner = str(host.user_id())
        run_words("chown", "--recursive", f"{owner}:{owner}", host.work / name)
    return folders


@pytest.mark.parametrize("user", ["root", other_host.USER])
@pytest.mark.parametrize("suite", SUITES)
def test_the_image_is_the_one_that_is_made_here(
    hosts: Mapping[str, OtherHost], locked: Appliance, suite: str, user: str
) -> None:
    folders = place(user, hosts[suite], locked, user)
    words = ("system", "build", "--description", "/description", "--target-dir", "/out")
    hosts[suite].kiwilite(*words, "--tools", "tree", folders=folders, user=user)
    assert (folders["/out"] / "SHA256SUMS").read_text() == sums(locked)
    remove_tree(folders["/store"])


def test_steps_have_other_keys_where_tools_are_those_of_the_host(
    hosts: Mapping[str, OtherHost], locked: Appliance
) -> None:
    keys = {suite: keys_of_tool_steps(host, locked) for suite, host in hosts.items()}
    one, other = keys.values()
    assert one.keys() == other.keys() >= {"bootstrap", "root", "root-fec", "data", "home"}
    assert not set(one.values()) & set(other.values())


def keys_of_tool_steps(host: OtherHost, locked: Appliance) -> dict[str, str]:
    folders = place("keys", host, locked, "root")
    words = ("system", "plan", "--description", "/description", "--format", "json")
    said = host.kiwilite(*words, "--tools", "host", folders=folders)
    steps = json.loads(said[said.index("\n{") :])["steps"]
    return {step["name"]: step["key"] for step in steps}


def test_this_is_another_python_there(hosts: Mapping[str, OtherHost]) -> None:
    """Else the proof would be about tools alone."""
    versions = {
        host.run("python3", "--version", binds={}, variables={}).strip() for host in hosts.values()
    }
    assert len(versions) == 2, f"here it is {sys.version}"
