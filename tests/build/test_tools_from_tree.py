"""With `--tools tree` the host's tools do not run, and a lock pins those that do."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

import pytest
import tiny_appliance
import tooled_appliance
from test_lock import system

from kiwilite.build.doctor import only_in_tree
from kiwilite.build.tools import TOOLS

pytestmark = pytest.mark.build

WITHOUT_TOOLS = """\
for tool; do
    [ "$tool" != -- ] || break
    shift
    path=$(command -v "$tool") && mount --bind "$(readlink -f /bin/false)" "$(readlink -f "$path")"
done
mount --bind "$(readlink -f /bin/false)" "$(readlink -f "$(command -v mount)")"
shift
exec "$@"
"""


def without_tools() -> list[str]:
    """What a build is started with where each tool that a tree has fails on the host."""
    names = sorted({tool.name for tool in TOOLS if tool.package in only_in_tree()} - {"mount"})
    return ["unshare", "--mount", "/bin/sh", "-euc", WITHOUT_TOOLS, "sh", *names, "--"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can replace the host's tools")
def test_no_tool_of_the_host_runs_where_they_come_from_a_tree(tmp_path: Path) -> None:
    appliance = tooled_appliance.make(tmp_path)
    # Nothing of an earlier run has this, so that all steps run that this can reach.
    (appliance.folder / "root/never-before").write_text(str(uuid.uuid4()))
    built = appliance.build("--tools", "tree", before=without_tools())
    assert built.status == 0, built.err
    refused = appliance.build("--tools", "host", before=without_tools())
    assert refused.status == 4
    assert "ended with status 1" in refused.complaint()


def test_a_lock_pins_the_tools_and_a_build_without_a_network_names_what_it_lacks(
    tmp_path: Path,
) -> None:
    appliance = tiny_appliance.make(tmp_path)
    path = appliance.folder / "appliance.lock"
    assert system(appliance, "lock").status == 0
    before = path.read_text()
    refused = appliance.build("--tools", "tree")
    assert refused.status == 1
    assert "has no tools tree" in refused.complaint()
    assert "lock --tools tree" in refused.err

    added = system(appliance, "lock", "--tools", "tree")
    assert added.status == 0, added.err
    (then,), (now,) = (json.loads(t)["selections"].values() for t in (before, path.read_text()))
    tree = now.pop("tools_tree")
    assert {**then, "tools": []} == now
    assert {"squashfs-tools", "libc6"} <= {package["name"] for package in tree["packages"]}
    assert all(len(bytes.fromhex(package["sha256"])) == 32 for package in tree["packages"])
    assert "nothing to do" in system(appliance, "lock", "--tools", "tree").out
    warned = system(appliance, "plan", "--tools", "host")
    assert warned.status == 0, warned.err
    # In a store of its own: other tests count on what theirs has selected.
    alone = tiny_appliance.Appliance(appliance.folder, tmp_path / "out", tmp_path / "alone")
    renewed = system(alone, "lock", "--update-lock")
    assert renewed.status == 0, renewed.err
    (renewed_lock,) = json.loads(path.read_text())["selections"].values()
    assert {"squashfs-tools", "libc6"} <= {
        p["name"] for p in renewed_lock["tools_tree"]["packages"]
    }

    elsewhere = tiny_appliance.Appliance(appliance.folder, tmp_path / "out", tmp_path / "store")
    missing = elsewhere.build("--tools", "tree", "--offline")
    assert missing.status == 5
    assert "without a network" in missing.complaint()
    assert "\n    squashfs-tools " in missing.err
