"""The picture as data: what hangs where, what stands on what, what is folded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diagram_samples import (
    CIRCLE,
    board,
    drawn,
    elsewhere,
    image_type,
    packages,
    profiles,
    small,
    write,
)
from plan_samples import x86

from kiwilite.description.model import Appliance, ImageType
from kiwilite.plan.devices import Devices, Volume, devices
from kiwilite.plan.diagram.compose import MOST_BOXES, MOST_PROFILES
from kiwilite.plan.diagram.model import Diagram, Disk
from kiwilite.plan.diagram.skyline import skyline
from kiwilite.plan.diagram.storage import disk
from kiwilite.plan.diagram.text import METRICS, WIDTH
from kiwilite.plan.disk import partitions


def titles(diagram: Diagram, *, holds: bool = True) -> list[str]:
    return [box.title for box in diagram.profiles if box.holds == holds]


def lane(diagram: Diagram, key: str) -> dict[str, tuple[str, ...]]:
    """Title and names of each box of a lane."""
    found = next(one for one in diagram.lanes if one.key == key)
    return {box.title: box.names for box in found.boxes}


def stacks(drawing: Disk) -> dict[str, list[str]]:
    """What stands on each column, from the bottom."""
    return {
        column.box.title: [s.box.title for s in drawing.stacked if s.first <= n <= s.last]
        for n, column in enumerate(drawing.columns)
    }


def changed(**values: object) -> Appliance:
    """The reference appliance with another overlay."""
    appliance = x86()
    assert appliance.type.overlay is not None
    overlay = replace(appliance.type.overlay, **values)  # type: ignore[arg-type]
    return replace(appliance, type=replace(appliance.type, overlay=overlay))


def test_profiles_say_whether_they_hold_and_what_they_require(tmp_path: Path) -> None:
    diagram = drawn(small(tmp_path / "small"), "debug")
    keys = {box.key: box.title for box in diagram.profiles}
    assert titles(diagram) == ["product", "debug"]
    assert [(keys[a.source], keys[a.target]) for a in diagram.requires] == [("debug", "product")]
    assert [box.badge for box in diagram.profiles] == ["by default", ""]


def test_without_a_request_those_selected_by_default_hold(tmp_path: Path) -> None:
    diagram = drawn(small(tmp_path / "small"))
    assert (titles(diagram), titles(diagram, holds=False)) == (["product"], ["debug"])


def test_sections_and_overlay_trees_hang_on_their_profiles(tmp_path: Path) -> None:
    diagram = drawn(small(tmp_path / "small"))
    _, debug = diagram.profiles
    assert debug.lines[1:] == ("overlay tree debug/", "packages image: 1 package")
    assert diagram.always.lines[0] == "overlay tree root/"
    assert "packages image: 5 packages" in diagram.always.lines


def test_a_section_of_several_profiles_names_the_others(tmp_path: Path) -> None:
    diagram = drawn(board(tmp_path / "board"))
    dev = next(box for box in diagram.profiles if box.title == "dev")
    assert "packages image: 1 package (with debug too)" in dev.lines


def test_a_profile_that_requires_itself_has_no_arrow(tmp_path: Path) -> None:
    diagram = drawn(write(tmp_path, profiles(CIRCLE, "b")))
    assert len(diagram.requires) == 3


def test_a_profile_for_another_architecture_says_so(tmp_path: Path) -> None:
    declared = profiles({"arm": ()}).replace('name="arm"', 'name="arm" arch="aarch64"')
    (box,) = drawn(write(tmp_path, declared)).profiles
    assert not box.holds
    assert "for aarch64 only, not for this one" in box.lines


def test_too_many_profiles_are_one_box(tmp_path: Path) -> None:
    many = {f"p{n}": () for n in range(MOST_PROFILES + 5)}
    last = drawn(write(tmp_path, profiles(many)), "p63").profiles[-1]
    assert (last.title, last.names[0], last.holds) == ("5 more profiles", f"p{MOST_PROFILES}", True)


def test_packages_are_counted_by_section_and_profile(tmp_path: Path) -> None:
    diagram = drawn(small(tmp_path / "small"))
    assert lane(diagram, "image")["debug"] == ("strace",)
    found = next(one for one in diagram.lanes if one.key == "image")
    assert found.badge == "5 of 6 packages"
    assert [(box.badge, box.holds) for box in found.boxes] == [("5", True), ("1", False)]


def test_lanes_stand_in_the_order_of_a_build_and_what_is_not_built_aside(tmp_path: Path) -> None:
    diagram = drawn(board(tmp_path / "board"))
    assert [one.key for one in diagram.lanes] == ["repositories", "image", "delete", "iso"]
    assert [(a.source, a.target) for a in diagram.flow] == [
        ("repositories", "image"),
        ("image", "delete"),
    ]
    assert "another image type" in diagram.lanes[-1].title


def test_sections_with_the_same_condition_are_one_box(tmp_path: Path) -> None:
    sections = packages("image", ["a"]) + packages("image", ["b", "a"], "", '<ignore name="c"/>')
    found = lane(drawn(write(tmp_path, sections)), "image")
    assert list(found) == ["always"]
    assert found["always"][-2:] == ("a", "b")


def test_too_many_sections_are_one_box_and_those_that_hold_are_drawn(tmp_path: Path) -> None:
    many = {f"p{n}": () for n in range(MOST_BOXES + 10)}
    sections = profiles(many) + "".join(
        packages("image", [f"tool-{name}"], f'profiles="{name}"') for name in many
    )
    found = lane(drawn(write(tmp_path, sections), "p49"), "image")
    assert len(found) == MOST_BOXES + 1
    assert "p49" in found
    assert found["11 more"][-1] == "tool-p48"


def test_a_repository_shows_no_password(tmp_path: Path) -> None:
    file = write(tmp_path, "")
    secret = file.read_text().replace("distro:debian", "https://me:secret@mirror.invalid/debian")
    file.write_text(secret)
    (box,) = next(one for one in drawn(file).lanes if one.key == "repositories").boxes
    assert box.lines == ("https://mirror.invalid/debian trixie",)


def test_the_columns_are_the_partitions_in_the_order_of_the_table() -> None:
    appliance = x86()
    drawing = disk(appliance)
    assert [c.box.title for c in drawing.columns] == [p.name for p in partitions(appliance)]


def test_the_devices_of_the_reference_image_stand_on_its_partitions() -> None:
    assert stacks(disk(x86())) == {
        "p.legacy": [],
        "p.UEFI": ["UKI", "systemd-boot"],
        "home": ["/home"],
        "oci-storage": ["/var/lib/containers/storage"],
        "oci-preloaded": ["dm-verity", "/var/lib/containers/loaded"],
        "p.lxreadonly": ["dm-verity", "squashfs", "/"],
        "p.lxroot": ["dm-integrity", "dm-crypt", "xfs", "/"],
    }


def test_a_hash_tree_of_its_own_carries_dm_verity_too() -> None:
    overlay = x86().type.overlay
    assert overlay is not None
    found = stacks(disk(changed(verity=replace(overlay.verity, hash_tree="partition"))))
    assert found["p.lxreadonly-verity"] == found["p.lxreadonly"]
    assert found["oci-preloaded-verity"] == found["oci-preloaded"]


def test_an_overlay_over_some_directories_lies_over_the_root() -> None:
    found = stacks(disk(changed(trees=("/etc", "/var"))))
    assert found["p.lxreadonly"] == ["dm-verity", "/", "/etc, /var"]
    assert found["p.lxroot"][-2:] == ["xfs", "/etc, /var"]


def test_an_overlay_in_memory_stands_beside_the_disk() -> None:
    found = stacks(disk(changed(write_partition=False, luks=None)))
    assert list(found)[-2:] == ["p.lxreadonly", "memory"]
    assert found["memory"] == ["tmpfs", "/"]


def typed(**values: object) -> Appliance:
    appliance = x86()
    kind: ImageType = replace(appliance.type, **values)  # type: ignore[arg-type]
    return replace(appliance, type=kind)


def test_mbr_entries_point_to_their_partitions() -> None:
    drawing = disk(typed(gpt_hybrid_mbr=True, bios=True))
    names = [column.box.title for column in drawing.columns]
    assert [(names[s.first], s.box.lines) for s in drawing.below] == [
        ("p.legacy", ("type 83", "active")),
        ("p.UEFI", ("type ef",)),
        ("home", ("type 83",)),
    ]
    assert stacks(drawing)["p.legacy"] == ["GRUB"]


def test_growth_reset_and_encryption_are_told() -> None:
    home, *others = x86().type.partitions
    rows = (replace(home, encrypted=True, reset=True), *others)
    drawing = disk(typed(partitions=rows, grow="once"))
    boxes = {s.box.title: s.box for s in drawing.stacked}
    assert boxes["/home"].lines == ("ext4", "made at the first boot", "a factory reset empties it")
    assert stacks(drawing)["home"] == ["dm-integrity", "dm-crypt", "/home"]
    assert drawing.columns[-1].box.lines == ("the rest", "grows with the disk, once")


def test_columns_that_carry_one_box_stay_in_one_bar(tmp_path: Path) -> None:
    rows = "".join(
        f'<partition name="data-{n}" size="8M" mountpoint="/srv/data/{n}" filesystem="ext4"/>'
        for n in range(12)
    )
    children = '<verity hash_tree="partition"/>'
    diagram = drawn(write(tmp_path, "", image_type("", rows, children)))
    assert diagram.disk is not None
    bars = skyline(diagram.disk, METRICS)
    assert len(bars) > 1
    assert all(p.x + p.width <= WIDTH for bar in bars for p in bar.placed)
    last = {p.box.title for p in bars[-1].placed}
    assert {"p.lxreadonly", "p.lxreadonly-verity", "p.lxroot", "/"} <= last


def test_what_is_not_built_has_reasons_in_place_of_a_disk(tmp_path: Path) -> None:
    diagram = drawn(elsewhere(tmp_path / "elsewhere"))
    assert diagram.disk is None
    assert len(diagram.instead) == 2
    assert titles(diagram) == ["one"]


def test_what_is_not_mounted_has_its_devices_too() -> None:
    home, *others = x86().type.partitions
    kind = typed(partitions=(replace(home, mountpoint=None), *others)).type
    assert devices(kind).data[0] == Volume("ext4", (), "home")
    assert devices(replace(kind, overlay=None, partitions=())) == Devices(None, None, (), ())
