"""What a real build does again after a change, and what it notes of the last one."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from shared_downloads import take_downloads
from tiny_appliance import Appliance, make

from kiwilite.build.kinds import KINDS
from kiwilite.plan import steps as s

pytestmark = pytest.mark.build

DOWNLOADING = {"/usr/lib/apt/apt-helper"}
"""What is downloaded is known by its digest, whatever brought it."""

KIND_OF = {
    "resolve-packages": s.ResolvePackages,
    "bootstrap": s.Bootstrap,
    "large-packages": s.Packages,
    "packages": s.MorePackages,
    "customise": s.Customise,
    "boot-files": s.BootFiles,
    "root": s.Squashfs,
    "root-verity": s.Verity,
    "uki": s.Uki,
    "esp": s.Esp,
    "layout": s.Layout,
    "disk": s.Disk,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """The tiny appliance, built; and told apart from others that share the store."""
    appliance = make(tmp_path_factory.mktemp("tiny"))
    appliance.change('name="tiny"', 'name="tiny-again"')
    said = appliance.build()
    assert said.status == 0, said.err
    yield appliance


def why(appliance: Appliance) -> dict[str, list[dict[str, object]]]:
    """Step → reasons, of those that would run."""
    words = [w if w != "build" else "plan" for w in appliance.command("--why", "--format", "json")]
    done = subprocess.run(
        words, env=appliance.environment(), capture_output=True, text=True, check=True
    )
    return {row["name"]: row["why"] for row in json.loads(done.stdout)["steps"] if row["why"]}


def keys(appliance: Appliance) -> dict[str, str]:
    """Step → key."""
    words = [w if w != "build" else "plan" for w in appliance.command("--format", "json")]
    done = subprocess.run(
        words, env=appliance.environment(), capture_output=True, text=True, check=True
    )
    return {row["name"]: row["key"] for row in json.loads(done.stdout)["steps"]}


def test_tools_that_a_step_called_are_in_its_key(tiny: Appliance) -> None:
    """The log has the command line of every tool of the host."""
    found = keys(tiny)
    assert {*found, "resolve-packages"} == KIND_OF.keys()
    entries = {name: tiny.store / "entries" / key for name, key in found.items()}
    entries["resolve-packages"] = newest_entry(tiny, "resolve-packages")
    called = {}
    for name, entry in entries.items():
        log = (entry / "log").read_text(errors="replace")
        called[name] = set(re.findall(r"^\+ ([^\s(]+)", log, re.MULTILINE)) - DOWNLOADING
        assert called[name] <= set(KINDS[KIND_OF[name]].tools), name
    assert "mmdebstrap" in called["bootstrap"]
    assert {"apt-get", "apt-cache"} <= called["resolve-packages"]


def newest_entry(appliance: Appliance, step: str) -> Path:
    """The entry of a step that is in no plan, as the build before left it."""
    rows = [
        (about.stat().st_mtime, about.parent)
        for about in (appliance.store / "entries").glob("*/about.json")
        if json.loads(about.read_text()).get("step") == step
    ]
    return max(rows)[1]


def test_after_a_build_nothing_would_run(tiny: Appliance) -> None:
    assert why(tiny) == {}


def test_a_new_command_line_makes_uki_esp_and_disk_and_leaves_the_root(tiny: Appliance) -> None:
    word = f"never-built-{uuid4()}"
    line = tiny.change("console=ttyS0", f"console=ttyS0 {word}")
    before = roothash(tiny)
    reasons = why(tiny)
    assert list(reasons) == ["uki", "esp", "layout", "disk"]
    assert reasons["uki"] == [
        {
            "cause": "parameter",
            "what": "type@kernelcmdline",
            "before": "console=ttyS0",
            "now": f"console=ttyS0 {word}",
            "where": f"{tiny.file}:{line}",
        }
    ]
    said = tiny.build()
    assert said.status == 0, said.err
    assert f"{len(reasons)} steps" in said.out
    assert roothash(tiny) == before
    assert why(tiny) == {}


def test_an_overlay_file_leaves_the_packages(tiny: Appliance) -> None:
    (tiny.folder / "root/etc").mkdir(parents=True)
    (tiny.folder / "root/etc/motd").write_text("hello\n")
    first = why(tiny)
    assert not {"bootstrap", "large-packages", "packages", "boot-files"} & first.keys()
    before = roothash(tiny)
    assert tiny.build().status == 0
    (tiny.folder / "root/etc/motd").chmod(0o600)
    [reason] = why(tiny)["customise"]
    assert reason["what"] == "root/etc/motd"
    assert (reason["before"], reason["now"]) == ("mode 0644", "mode 0600")
    assert roothash(tiny) != before


def test_one_small_package_more_leaves_the_large_ones_and_gives_what_a_clean_build_gives(
    tiny: Appliance, tmp_path: Path
) -> None:
    before = keys(tiny)
    tiny.change('<package name="kmod"/>', '<package name="tree"/><package name="kmod"/>')
    said = tiny.build()
    assert said.status == 0, said.err
    after = keys(tiny)
    assert after["large-packages"] == before["large-packages"]
    assert after["packages"] != before["packages"]
    tree = tiny.store / "entries" / after["packages"] / "out/tree"
    assert (tree / "usr/bin/tree").exists()
    take_downloads(tiny.store, tmp_path / "store")
    clean = replace(tiny, store=tmp_path / "store", target=tmp_path / "out")
    said = clean.build()
    assert said.status == 0, said.err
    assert sums(clean) == sums(tiny)


def sums(appliance: Appliance) -> str:
    return (appliance.target / "SHA256SUMS").read_text()


def roothash(appliance: Appliance) -> str:
    [path] = Path(appliance.target).glob("*.roothash")
    return path.read_text()
