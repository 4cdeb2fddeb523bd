"""Builds at once on one store: what they share is made once, and each result is right."""

from __future__ import annotations

import json
import os
import re
import selectors
import subprocess
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_appliance
from disturbed import plan
from shared_downloads import take_downloads
from test_build_time_overlay import encrypted
from tiny_appliance import Appliance, Said, run_words

from kiwilite.build.store import Store
from kiwilite.inspect.compare_results import compare_results

pytestmark = pytest.mark.build

READY = re.compile(r" +\d+\.\d s  (\S+) ")
"""A line of progress: a step that this build made."""
WAITING = "bootstrap: another build makes it; waiting"
PATIENCE = 600
"""Seconds without a word, on a busy machine."""


def usual(base: Path, store: Path) -> Appliance:
    return tiny_appliance.make(base, store)


def home_of_its_own(base: Path, store: Path) -> Appliance:
    """Other file systems, an overlay with a volume of each device, and a script."""
    made = tiny_appliance.make(base, store)
    made.change(
        'overlayroot_write_partition="false"',
        'luks="not so secret" luks_version="luks2" luks_unlock="embedded" efipartsize="64"',
    )
    made.change(
        '<bootloader name="systemd_boot" timeout="0"/>',
        '<bootloader name="systemd_boot" timeout="0"/><size unit="G">1</size><partitions>'
        '<partition name="home" size="64M" mountpoint="/home" filesystem="ext4"/></partitions>',
    )
    made.script("config", "echo second >/etc/which")
    return made


def other_profile(base: Path, store: Path) -> Appliance:
    """Another profile, which has one more package."""
    made = tiny_appliance.make(base, store)
    made.change('description="the usual one" import="true"', 'description="the usual one"')
    made.change('description="another one"', 'description="another one" import="true"')
    made.change(
        "</image>",
        '<packages type="image" profiles="smaller"><package name="less"/></packages></image>',
    )
    return made


KINDS: dict[str, Callable[[Path, Path], Appliance]] = {
    "usual": usual,
    "home": home_of_its_own,
    "profile": other_profile,
    "encrypted": encrypted,
}
FRESH = {"encrypted": frozenset({"p.lxroot"})}
"""Partitions with a key that is another one in every build."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """The usual one, built alone in the tests' common store."""
    made = tiny_appliance.make(tmp_path_factory.mktemp("sound"))
    said = made.build()
    assert said.status == 0, said.err
    return made


def store_like(other: Path, root: Path) -> Path:
    """A store with the downloads and selections of another, and none of its results."""
    take_downloads(other, root)
    (root / "entries").mkdir()
    return root


def key_of(appliance: Appliance, step: str) -> str:
    """The key of a step's result."""
    return next(row["key"] for row in plan(appliance)["steps"] if row["name"] == step)


def until_all_wait(builds: Sequence[subprocess.Popen[str]]) -> None:
    """Read what builds say until each says that it waits for the minimal tree."""
    said = dict.fromkeys(builds, "")
    with selectors.DefaultSelector() as selector:
        for child in builds:
            assert child.stderr is not None
            selector.register(child.stderr, selectors.EVENT_READ, child)
        while selector.get_map():
            ready = selector.select(PATIENCE)
            assert ready, "no build says anything"
            for key, _ in ready:
                text = os.read(key.fd, 4096).decode()
                said[key.data] += text
                assert text, f"a build ended and had not to wait:\n{said[key.data]}"
                if WAITING in said[key.data]:
                    selector.unregister(key.fileobj)


def ended(child: subprocess.Popen[str]) -> Said:
    """How a build that was started ends."""
    out, err = child.communicate(timeout=900)
    assert child.returncode == 0, err
    return Said(child.returncode, out, err)


def made_by(builds: Sequence[Said]) -> Counter[str]:
    """How many builds made the result of each step."""
    return Counter(name for said in builds for name in READY.findall(said.err))


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory, sound: Appliance) -> dict[str, Appliance]:
    """Four builds at once, begun when each had come to wait for the tree they share."""
    base = tmp_path_factory.mktemp("at-once")
    store = Store(store_like(sound.store, base / "store"))
    store.create()
    found = {name: make(base / name, store.root) for name, make in KINDS.items()}
    with store.lock(key_of(sound, "bootstrap")):
        children = [appliance.start() for appliance in found.values()]
        until_all_wait(children)
    made = made_by([ended(child) for child in children])
    assert made["bootstrap"] == 1
    assert made["disk"] == len(KINDS)
    return found


def entries(store: Path) -> Counter[str]:
    """How many results of each step a store has."""
    found = (json.loads(p.read_text()) for p in store.glob("entries/*/about.json"))
    return Counter(str(about["step"]) for about in found)


def test_four_builds_share_what_is_the_same(at_once: dict[str, Appliance]) -> None:
    store = at_once["usual"].store
    count = entries(store)
    assert count["bootstrap"] == 1
    assert count["packages"] == 2
    assert count["disk"] == len(KINDS)
    assert list((store / "work").iterdir()) == []
    run_words(*tiny_command(at_once["usual"], "store", "verify", "--store", str(store)))


def tiny_command(appliance: Appliance, *words: str) -> list[str]:
    """Another command of the same kiwilite."""
    command = appliance.command()
    return [*command[: command.index("system")], *words]


def test_the_usual_one_has_the_bytes_of_a_build_alone(
    at_once: dict[str, Appliance], sound: Appliance
) -> None:
    assert sums(sound) == sums(at_once["usual"])


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"usual"}))
def test_each_has_the_bytes_of_a_build_alone_in_a_store_of_its_own(
    at_once: dict[str, Appliance], sound: Appliance, tmp_path: Path, name: str
) -> None:
    """The minimal tree is one that another build made, alone too."""
    store = store_like(at_once[name].store, tmp_path / "store")
    bootstrap = f"entries/{key_of(at_once[name], 'bootstrap')}"
    run_words("cp", "-a", "--reflink=auto", sound.store / bootstrap, store / bootstrap)
    alone = KINDS[name](tmp_path / "alone", store)
    said = alone.build()
    assert said.status == 0, said.err
    assert made_by([said])["packages"] == made_by([said])["disk"] == 1
    different = compare_results(alone.target, at_once[name].target, fresh=FRESH.get(name, NOTHING))
    assert [file for file in different if not file.on_purpose] == []
    if name not in FRESH:
        assert sums(alone) == sums(at_once[name])


NOTHING: frozenset[str] = frozenset()


def sums(appliance: Appliance) -> str:
    """Digests of the results, which are those of the files."""
    run_words("sh", "-c", 'cd "$1" && sha256sum --quiet -c SHA256SUMS', "sh", appliance.target)
    return (appliance.target / "SHA256SUMS").read_text()


def test_two_builds_of_one_description_at_once_make_each_result_once(
    at_once: dict[str, Appliance], tmp_path: Path
) -> None:
    one = at_once["profile"]
    one.script("config", f"echo {uuid.uuid4()} >/etc/which")
    other = replace(one, target=tmp_path / "out")
    children = [one.start(), other.start()]
    said = [ended(child) for child in children]
    made = made_by(said)
    assert {"customise", "root", "uki", "disk"} <= set(made)
    assert set(made.values()) == {1}
    assert sums(one) == sums(other)
    assert one.results() == other.results()
