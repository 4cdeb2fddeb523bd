"""The rows of the partition table: types, hash trees, sizes."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from uuid import UUID

import pytest
from plan_samples import x86

from kiwilite.description.model import Appliance, PartitionElement
from kiwilite.plan.disk import (
    TYPE_LINUX,
    discoverable_type,
    file_system_label,
    hash_partition,
    partitions,
)
from kiwilite.plan.partitions import PartitionSize

HOME = x86().type.partitions[0]


def appliance_with(
    *rows: PartitionElement, dps: bool = True, own_hashes: bool = False, arch: str = "x86_64"
) -> Appliance:
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None
    if own_hashes:
        overlay = replace(overlay, verity=replace(overlay.verity, hash_tree="partition"))
    kind = replace(appliance.type, dps_types=dps, partitions=rows, overlay=overlay)
    return replace(appliance, type=kind, arch=arch)


def data(name: str, mountpoint: str | None, filesystem: str = "ext4") -> PartitionElement:
    return replace(HOME, name=name, mountpoint=mountpoint, filesystem=filesystem)


def systemd_types() -> dict[str, UUID]:
    """What systemd calls the types of the specification."""
    tool = shutil.which("systemd-id128")
    if tool is None:
        pytest.skip("systemd-id128 is not installed")
    shown = subprocess.run([tool, "show"], capture_output=True, text=True, check=True).stdout
    rows = (line.split() for line in shown.splitlines()[1:])
    return {name: UUID(number) for name, number in rows}


@pytest.mark.parametrize(("arch", "suffix"), [("x86_64", "x86-64"), ("aarch64", "arm64")])
@pytest.mark.parametrize("folder", ["/", "/usr"])
def test_root_and_usr_have_the_types_of_their_architecture(
    arch: str, suffix: str, folder: str
) -> None:
    known = systemd_types()
    name = folder.strip("/") or "root"
    assert discoverable_type(arch, folder) == known[f"{name}-{suffix}"]
    assert discoverable_type(arch, folder, hashes=True) == known[f"{name}-{suffix}-verity"]


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("/home", "home"),
        ("/srv/", "srv"),
        ("/var", "var"),
        ("/var/tmp", "tmp"),
        ("/opt", "linux-generic"),
        ("/home/a", "linux-generic"),
        (None, "linux-generic"),
    ],
)
def test_data_has_the_type_of_its_mount_point(folder: str | None, name: str) -> None:
    assert discoverable_type("x86_64", folder) == systemd_types()[name]
    assert discoverable_type("x86_64", folder, hashes=True) == TYPE_LINUX


def test_another_architecture_has_generic_types_for_its_root() -> None:
    assert discoverable_type("riscv64", "/") == TYPE_LINUX


def test_types_are_discoverable_on_request_only() -> None:
    rows = (data("home", "/home"), data("x", "/x"))
    generic = {p.type_guid for p in partitions(appliance_with(*rows, dps=False))[2:]}
    assert generic == {TYPE_LINUX}
    asked = {p.name: p.type_guid for p in partitions(appliance_with(*rows))}
    assert asked["p.lxreadonly"] == discoverable_type("x86_64", "/")
    assert asked["home"] == discoverable_type("x86_64", "/home")
    assert asked["x"] == asked["p.lxroot"] == TYPE_LINUX


def test_a_hash_tree_of_its_own_follows_its_data_with_its_own_type_and_guid() -> None:
    rows = (data("home", "/home"), data("programs", "/usr", "squashfs"))
    table = partitions(appliance_with(*rows, own_hashes=True, arch="aarch64"))
    assert [p.name for p in table] == [
        "p.legacy",
        "p.UEFI",
        "home",
        "programs",
        hash_partition("programs"),
        "p.lxreadonly",
        hash_partition("p.lxreadonly"),
        "p.lxroot",
    ]
    by_name = {p.name: p for p in table}
    tree = by_name[hash_partition("p.lxreadonly")]
    assert tree.type_guid == discoverable_type("aarch64", "/", hashes=True)
    assert tree.mountpoint is None
    assert tree.size == PartitionSize("content")
    assert by_name["programs-verity"].type_guid == discoverable_type("aarch64", "/usr", hashes=True)
    assert len({p.unique_guid for p in table}) == len(table)


def test_a_squashfs_without_a_size_is_as_large_as_its_content() -> None:
    rows = (replace(data("s", "/s", "squashfs"), size=0), data("t", "/t", "squashfs"))
    sizes = {p.name: p.size for p in partitions(appliance_with(*rows))}
    assert sizes["s"] == PartitionSize("content")
    assert sizes["t"] == PartitionSize("fixed", HOME.size)


def test_what_is_encrypted_says_so() -> None:
    rows = (replace(data("a", "/a"), encrypted=True), data("b", "/b"))
    words = {p.name: p.content for p in partitions(appliance_with(*rows))}
    assert (words["a"], words["b"]) == ("ext4 on LUKS2", "ext4")


@pytest.mark.parametrize(
    ("filesystem", "label", "expected"),
    [
        ("xfs", None, "a-very-long-"),
        ("ext4", None, "a-very-long-name"),
        ("ext4", "SIXTEEN-LETTERS-", "SIXTEEN-LETTERS-"),
    ],
)
def test_a_file_system_is_called_as_the_description_or_the_partition_is(
    filesystem: str, label: str | None, expected: str
) -> None:
    row = replace(data("a-very-long-name-of-a-partition", "/a", filesystem), label=label)
    assert file_system_label(row) == expected
