"""The reference description becomes this plan, for each of its profiles."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from plan_samples import PROFILES, SELECTION, X86, package, plan_of, x86

from kiwilite.boot.uki import UkiProfile, entry_id
from kiwilite.plan import disk as d
from kiwilite.plan import steps as s
from kiwilite.plan.compile import bootstrap_plan
from kiwilite.plan.nodes import DEFAULT_EPOCH, RESET_SWITCH, Plan
from kiwilite.plan.partitions import MIB
from kiwilite.plan.references import outputs_of, plain, sources_of

T = TypeVar("T")

NODES = [
    "resolve-packages",
    *("bootstrap", "packages", "customise", "boot-files", "root", "root-verity"),
    *("home", "oci-storage", "oci-preloaded", "oci-preloaded-verity", "uki", "esp"),
    *("layout", "disk", "qcow2"),
]


@pytest.fixture(params=PROFILES, ids=lambda p: p[0] if p else "default")
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_of(x86(*request.param))


def step(plan: Plan, name: str, kind: type[T]) -> T:
    found = plan.node(name).step
    assert isinstance(found, kind)
    return found


def test_the_steps_have_these_names(plan: Plan) -> None:
    assert [n.name for n in plan.nodes] == NODES


def test_every_input_is_made_before_it_is_read(plan: Plan) -> None:
    made: set[str] = set()
    for node in plan.nodes:
        assert set(outputs_of(node.step)) <= made, node.name
        made.add(node.name)


def test_every_result_but_the_last_is_read_or_published(plan: Plan) -> None:
    read = {name for node in plan.nodes for name in outputs_of(node.step)}
    assert {n.name for n in plan.nodes} - read == {"qcow2"}


def test_every_file_it_reads_stands_beside_the_description(plan: Plan) -> None:
    sources = [source.path for node in plan.nodes for source in sources_of(node.step)]
    assert sources
    assert all(p.exists() and p.is_relative_to(X86) for p in sources)


def test_results_are_named_as_kiwi_names_them(plan: Plan) -> None:
    assert plan.file_name == "kiwilite-x86.x86_64-1.0.1"
    assert (plan.disk, plan.format) == ("disk", "qcow2")


def test_every_step_with_a_clock_has_the_description_s(plan: Plan) -> None:
    epochs = {getattr(n.step, "epoch", None) for n in plan.nodes} - {None}
    assert epochs == {1754697600}


def test_source_date_epoch_wins_over_the_description() -> None:
    plan = plan_of(x86(), epoch=86400)
    assert {getattr(n.step, "epoch", 86400) for n in plan.nodes} == {86400}


def test_without_any_epoch_there_is_a_fixed_one() -> None:
    appliance = x86()
    preferences = replace(appliance.preferences, source_date_epoch=None)
    plan = plan_of(replace(appliance, preferences=preferences))
    assert step(plan, "root", s.Squashfs).epoch == DEFAULT_EPOCH


def test_writable_partitions_are_in_fstab_and_verified_ones_are_not(plan: Plan) -> None:
    lines = step(plan, "customise", s.Customise).fstab
    guid = {p.name: p.unique_guid for p in plan.partitions}
    assert lines == (
        f"PARTUUID={guid['home']} /home ext4 nosuid,nodev,noatime 0 2",
        f"PARTUUID={guid['oci-storage']} /var/lib/containers/storage xfs noatime 0 0",
    )


def test_every_verified_partition_has_a_target_with_its_partuuid(plan: Plan) -> None:
    guid = {p.name: p.unique_guid for p in plan.partitions}
    rows = [
        (t.mapping, t.partuuid, t.mountpoint, t.image.step, t.verity.step)
        for t in step(plan, "uki", s.Uki).verity
    ]
    name = "oci-preloaded"
    assert rows == [
        ("verityRoot", guid["p.lxreadonly"], "/", "root", "root-verity"),
        (f"verity-{name}", guid[name], "/var/lib/containers/loaded", name, f"{name}-verity"),
    ]


def test_the_overlay_is_what_the_description_says(plan: Plan) -> None:
    overlay = step(plan, "uki", s.Uki).overlay
    assert overlay is not None
    assert overlay.partuuid == next(p.unique_guid for p in plan.partitions if p.name == "p.lxroot")
    assert overlay.passphrase == s.Secret("insecure")
    options = dict(overlay.format_options)
    assert (options["--cipher"], options["--integrity"]) == ("aegis128-random", "aead")


def test_the_provisioning_mark_carries_the_overlay_s_volume_id(plan: Plan) -> None:
    overlay = step(plan, "uki", s.Uki).overlay
    assert overlay is not None
    assert step(plan, "disk", s.Disk).marks == (("p.lxroot", overlay.volume_id),)


def test_the_factory_reset_entry_is_the_one_systemd_boot_shows(plan: Plan) -> None:
    profiles = step(plan, "uki", s.Uki).profiles
    assert [p.id for p in profiles] == ["main", "factory-reset"]
    assert [RESET_SWITCH in p.cmdline for p in profiles] == [False, True]
    last = UkiProfile(profiles[1].id, profiles[1].title, profiles[1].cmdline)
    wanted = entry_id(step(plan, "esp", s.Esp).uki_name, last, 1)
    customise = step(plan, "customise", s.Customise)
    assert customise.factory_reset_entry == wanted
    assert customise.resettable


def test_without_a_boot_menu_the_reset_starts_in_the_running_system() -> None:
    appliance = x86()
    kind = replace(appliance.type, bootloader=None)
    customise = step(plan_of(replace(appliance, type=kind)), "customise", s.Customise)
    assert customise.factory_reset_entry is None
    assert customise.resettable


def test_what_lies_below_mount_points_is_left_out_of_the_root_only(plan: Plan) -> None:
    assert step(plan, "root", s.Squashfs).leave_out == (
        "/home",
        "/var/lib/containers/loaded",
        "/var/lib/containers/storage",
    )
    assert step(plan, "home", s.FileSystem).leave_out == ()


def test_the_initrd_comes_from_packages_before_any_script_removes_some(plan: Plan) -> None:
    assert step(plan, "boot-files", s.BootFiles).tree == s.Output("packages")
    assert step(plan, "root", s.Squashfs).tree == s.Output("customise")


def test_all_salts_and_uuids_differ(plan: Plan) -> None:
    overlay = step(plan, "uki", s.Uki).overlay
    assert overlay is not None
    verities = [n.step for n in plan.nodes if isinstance(n.step, s.Verity)]
    uuids = [v.uuid for v in verities]
    uuids += [n.step.uuid for n in plan.nodes if isinstance(n.step, s.FileSystem)]
    uuids += [p.unique_guid for p in plan.partitions]
    uuids += [step(plan, "disk", s.Disk).disk_guid, overlay.volume_id]
    assert len(set(uuids)) == len(uuids)
    assert len({v.salt for v in verities}) == len(verities)


def test_the_mbr_shows_the_first_three_partitions(plan: Plan) -> None:
    shown = [row.partition for row in step(plan, "disk", s.Disk).hybrid]
    assert shown == ["p.legacy", "p.UEFI", "home"]


def test_every_partition_with_content_gets_it(plan: Plan) -> None:
    filled = dict(step(plan, "disk", s.Disk).contents)
    empty = {p.name for p in plan.partitions} - filled.keys()
    assert empty == {d.LEGACY, d.READ_WRITE}
    assert filled[d.READ_ONLY] == (s.Output("root"), s.Output("root-verity"))


def test_profiles_end_with_the_same_packages_but_for_tools() -> None:
    default, bootstrapped, development = (
        set(step(plan_of(x86(*p)), "packages", s.Packages).packages) for p in PROFILES
    )
    assert default == bootstrapped
    assert development - default == {"strace", "lsof", "tcpdump", "vim-tiny"}


def test_the_serial_line_logs_in_by_itself_only_in_development() -> None:
    trees = [step(plan_of(x86(*p)), "customise", s.Customise).overlay_trees for p in PROFILES]
    assert [[t.path.name for t in row] for row in trees] == [
        ["root"],
        ["root"],
        ["root", "development"],
    ]


def test_with_an_archive_the_tree_starts_from_it() -> None:
    archive = Path("/nowhere/base.tar.zst")
    plan = plan_of(x86("bootstrapped"), archive=archive)
    assert plan.node("bootstrap").step == s.UnpackBootstrap(s.Source(archive))


def test_a_bootstrap_archive_is_two_steps() -> None:
    nodes = bootstrap_plan(x86("bootstrapped"), epoch=None, packages=SELECTION)
    assert [n.name for n in nodes] == ["bootstrap", "pack"]
    assert nodes[0] == plan_of(x86(), packages=SELECTION).node("bootstrap")


def test_packages_are_selected_first_and_each_step_has_its_own() -> None:
    unselected = plan_of(x86())
    assert unselected.nodes[0].name == "resolve-packages"
    assert s.outputs_of(unselected.node("packages").step) == ("bootstrap", "resolve-packages")
    plan = plan_of(x86(), packages=SELECTION)
    assert plan.nodes[0].name == "bootstrap"
    assert step(plan, "bootstrap", s.Bootstrap).package_files == SELECTION.bootstrap
    assert step(plan, "packages", s.Packages).package_files == SELECTION.image


def test_large_packages_are_a_step_of_their_own() -> None:
    more = replace(SELECTION, image=(package("kmod"), package("udev")), large=("udev",))
    plan = plan_of(x86(), packages=more)
    first = step(plan, "large-packages", s.Packages)
    assert first.packages == ("udev",)
    assert first.package_files == (package("udev"),)
    rest = step(plan, "packages", s.MorePackages)
    assert rest.tree == s.Output("large-packages")
    assert rest.package_files == more.image
    assert {"kmod", "udev"} <= {*rest.packages}


def test_a_mirror_changes_no_step_of_an_image_that_keeps_no_sources() -> None:
    one, other = (plan_of(x86(), mirror=f"http://{name}.invalid/debian") for name in "ab")
    assert one == other


def test_a_repository_the_image_keeps_names_the_mirror() -> None:
    appliance = x86()
    kept = replace(appliance.repositories[0], imageinclude=True)
    plan = plan_of(replace(appliance, repositories=(kept,)), mirror="http://a.invalid/debian")
    lines = step(plan, "customise", s.Customise).image_sources
    assert lines == ("deb http://a.invalid/debian trixie main",)


def test_a_passphrase_can_stand_in_a_file_beside_the_description() -> None:
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None and overlay.luks is not None
    luks = replace(overlay.luks, passphrase="file://key")
    kind = replace(appliance.type, overlay=replace(overlay, luks=luks))
    target = step(plan_of(replace(appliance, type=kind)), "uki", s.Uki).overlay
    assert target is not None
    assert target.passphrase == s.Source(X86 / "key")


def test_an_additive_size_is_no_size_of_the_disk() -> None:
    appliance = x86()
    size = appliance.type.size
    assert size is not None
    added = replace(size, bytes=100 * MIB, additive=True, unpartitioned=5 * MIB)
    plan = plan_of(replace(appliance, type=replace(appliance.type, size=added)))
    layout = step(plan, "layout", s.Layout)
    assert (layout.size, layout.extra, layout.unpartitioned) == (None, 100 * MIB, 5 * MIB)


def test_the_plan_prints_as_json_without_its_secrets(plan: Plan) -> None:
    text = json.dumps([plain(n.step) for n in plan.nodes] + [plain(p) for p in plan.partitions])
    assert json.loads(text)
    assert "verityRoot" in text
    assert "insecure" not in text


def test_two_compilations_are_equal(plan: Plan) -> None:
    assert plan_of(x86(*plan.profiles)) == plan
