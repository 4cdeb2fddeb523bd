"""Steps as data: what they read, how they print, what goes into a key."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from plan_samples import partition

from kiwilite.plan import steps as s

FILE, KEY = s.Source(Path("/d/file")), s.Source(Path("/d/key"))
VOLUME = s.OverlayTarget(
    "luks", UUID(int=1), UUID(int=2), "xfs", (("--cipher", "x"),), s.Secret("hunter2")
)
UKI = s.Uki(
    boot=s.Output("boot"),
    system=s.Output("system"),
    image="i",
    version="1",
    verity=(
        s.VerityTarget("m", UUID(int=3), "/", s.Output("root"), s.Output("hashes")),
        s.VerityTarget("n", UUID(int=4), "/n", s.Output("root"), s.Output("more")),
    ),
    overlay=VOLUME,
    profiles=(),
    switches=(),
    on_failure="halt",
    epoch=0,
)
ESP = s.Esp(
    uki=s.Output("uki"),
    boot=s.Output("boot"),
    uki_name="i.efi",
    with_loader=True,
    loader_timeout=0,
    minimum=0,
    fixed_size=None,
    volume_id=1,
    where="/here/appliance.kiwi:28:9",
    epoch=0,
)


def test_inputs_are_found_wherever_they_stand_each_once_and_in_order() -> None:
    assert s.outputs_of(UKI) == ("boot", "system", "root", "hashes", "more")


def test_files_are_found_in_lists_of_steps_inside_steps() -> None:
    source = s.AptSource("dir:/x", "./", (), signed_by=(KEY, FILE))
    step = s.FindBootstrap("name", (source, source), "amd64", "pin")
    assert s.sources_of(step) == (KEY, FILE)


def test_a_secret_is_shown_nowhere() -> None:
    assert "hunter2" not in json.dumps(s.plain(UKI))
    assert "hunter2" not in repr(UKI)
    assert "hunter2" not in str(UKI)


def test_a_secret_counts_in_a_key() -> None:
    names = {s.Output(n): n for n in s.outputs_of(UKI)}
    assert "hunter2" in json.dumps(s.plain(UKI, names))


def test_people_see_the_line_of_the_description() -> None:
    assert "appliance.kiwi:28:9" in json.dumps(s.plain(ESP))
    assert "appliance.kiwi:7:1" in json.dumps(s.plain(partition("a", "rest", number=7)))


def test_in_a_key_neither_lines_nor_folders_of_the_description_count() -> None:
    names = {s.Output("uki"): "KEY 1", s.Output("boot"): "KEY 2"}
    text = json.dumps(s.plain(ESP, names))
    assert "appliance.kiwi" not in text
    assert "KEY 1" in text and "KEY 2" in text
    assert s.plain(FILE, {FILE: "digest"}) == "digest"


def test_equal_steps_print_equally_and_different_ones_do_not() -> None:
    one, other = (s.Squashfs(s.Output("t"), "/", (), level, 0) for level in (3, 4))
    assert s.plain(one) != s.plain(other)
    assert s.plain(one) == s.plain(s.Squashfs(s.Output("t"), "/", (), 3, 0))
