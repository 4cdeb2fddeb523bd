"""What the initrd is made of, on synthetic trees."""

from __future__ import annotations

import stat
from pathlib import Path
from uuid import UUID

import pytest
import synthetic

from kiwilite.boot import initrd
from kiwilite.boot.initrd import APPLETS, MissingProgram
from kiwilite.boot.policy import Policy, VerityDevice, Volume, policy_archive
from kiwilite.ondisk import cpio

MODULES = ("dm-mod", "dm-crypt", "xfs")
ALL_APPLETS = (*APPLETS, "modprobe")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return synthetic.make_tree(tmp_path / "tree", ALL_APPLETS, MODULES)


def collect(tree: Path) -> dict[str, cpio.Entry]:
    entries = initrd.collect(
        tree, synthetic.KERNEL, required=["xfs"], optional=["not-there"], programs=["tool"]
    )
    return {entry.path: entry for entry in entries}


def test_a_program_brings_its_libraries_and_its_loader(tree: Path) -> None:
    found = collect(tree)
    libraries = synthetic.LIBRARIES
    assert stat.S_IMODE(found["usr/sbin/tool"].mode) == 0o755
    assert f"{libraries}/libone.so.1.2" in found
    assert f"{libraries}/libc.so.6" in found
    assert f"{libraries}/ld-linux-x86-64.so.2" in found


def test_links_on_the_way_are_kept_so_that_every_path_works(tree: Path) -> None:
    found = collect(tree)
    assert found["lib64"].data == b"usr/lib64"
    assert found["sbin"].data == b"usr/sbin"
    assert found[f"{synthetic.LIBRARIES}/libone.so.1"].data == b"libone.so.1.2"
    assert stat.S_ISLNK(found["usr/lib64/ld-linux-x86-64.so.2"].mode)


def test_a_library_that_ends_threads_brings_the_unwinder(tree: Path) -> None:
    assert f"{synthetic.LIBRARIES}/libgcc_s.so.1" in collect(tree)
    synthetic.put(tree, f"{synthetic.LIBRARIES}/libone.so.1.2", synthetic.make_elf(["libc.so.6"]))
    assert f"{synthetic.LIBRARIES}/libgcc_s.so.1" not in collect(tree)


def test_modules_are_uncompressed_and_listed_in_load_order(tree: Path) -> None:
    found = collect(tree)
    base = f"usr/lib/modules/{synthetic.KERNEL}"
    assert found[f"{base}/kernel/xfs.ko"].data == b"module xfs"
    assert found["etc/kiwilite/modules"].data == b"dm_mod\ndm_crypt\nxfs\n"
    assert (
        b"kernel/xfs.ko: kernel/dm-crypt.ko kernel/dm-mod.ko\n"
        in found[f"{base}/modules.dep"].data
    )  # fmt: skip


def test_every_command_of_the_scripts_is_in_the_initrd(tree: Path) -> None:
    found = collect(tree)
    for applet in APPLETS:
        assert found[f"usr/bin/{applet}"].data == b"/usr/bin/busybox"
    assert found["usr/sbin/modprobe"].data == b"/usr/bin/busybox"


def test_an_absolute_link_never_leads_to_the_hosts_files(tree: Path) -> None:
    (tree / "usr/sbin/tool").unlink()
    (tree / "usr/sbin/tool").symlink_to("/usr/sbin/only-on-the-host")
    with pytest.raises(MissingProgram):
        collect(tree)
    synthetic.put(tree, "usr/sbin/only-on-the-host", synthetic.make_elf())
    assert "usr/sbin/only-on-the-host" in collect(tree)


def test_a_library_for_another_processor_is_not_taken(tree: Path) -> None:
    name = f"{synthetic.LIBRARIES}/libone.so.1.2"
    synthetic.put(tree, name, synthetic.make_elf(machine=synthetic.AARCH64))
    with pytest.raises(MissingProgram, match=r"libone\.so\.1"):
        collect(tree)


def test_runpath_is_searched_relative_to_the_program(tree: Path) -> None:
    own = synthetic.make_elf(["libown.so"], runpath="$ORIGIN/../lib/tool")
    synthetic.put(tree, "usr/sbin/tool", own)
    synthetic.put(tree, "usr/lib/tool/libown.so", synthetic.make_elf())
    assert "usr/lib/tool/libown.so" in collect(tree)


def test_a_missing_program_names_the_package_to_add(tree: Path) -> None:
    with pytest.raises(MissingProgram) as error:
        initrd.collect(tree, synthetic.KERNEL, required=[], programs=["mkfs.xfs"])
    assert "mkfs.xfs" in str(error.value)
    assert "xfsprogs" in str(error.value)


def test_a_busybox_without_a_needed_applet_is_refused(tmp_path: Path) -> None:
    tree = synthetic.make_tree(tmp_path / "tree", ALL_APPLETS[1:], MODULES)
    with pytest.raises(MissingProgram) as error:
        collect(tree)
    assert ALL_APPLETS[0] in str(error.value)
    assert "busybox-static" in str(error.value)


def test_the_large_archive_does_not_depend_on_the_place_of_the_tree(tmp_path: Path) -> None:
    def build(name: str) -> bytes:
        tree = synthetic.make_tree(tmp_path / name, ALL_APPLETS, MODULES)
        return initrd.build(
            tree, synthetic.KERNEL, epoch=1, required=["xfs"], optional=[], programs=["tool"]
        )

    assert build("one") == build("somewhere-else")


def test_the_large_archive_holds_init_and_the_hook(tree: Path) -> None:
    raw = initrd.build(tree, synthetic.KERNEL, epoch=1, required=[], programs=[])
    entries = {entry.path: entry for entry in cpio.read(raw)}
    for name in ("init", "kiwilite-root"):
        assert entries[name].data.startswith(b"#!/bin/sh\n")
        assert stat.S_IMODE(entries[name].mode) == 0o755


def test_the_policy_archive_holds_policy_and_key_for_root_only() -> None:
    policy = make_policy()
    raw = policy_archive(policy, b"secret", epoch=7)
    entries = {entry.path: entry for entry in cpio.read(raw)}
    assert len(raw) % 4 == 0
    assert entries["etc/kiwilite/policy"].data == policy.render()
    assert entries["etc/cryptsetup-keys.d/luks.key"].data == b"secret"
    for name in ("etc/kiwilite/policy", "etc/cryptsetup-keys.d/luks.key"):
        assert stat.S_IMODE(entries[name].mode) == 0o400


def test_without_a_key_file_the_policy_archive_has_none() -> None:
    raw = policy_archive(make_policy(), None, epoch=7)
    assert not any("luks.key" in entry.path for entry in cpio.read(raw))


def make_policy() -> Policy:
    device = VerityDevice("verityRoot", UUID(int=1), "ab" * 32, 4096, "/", "squashfs")
    options = (("--cipher", "aegis128-random"), ("--integrity", "aead"))
    volume = Volume("luks", UUID(int=2), UUID(int=3), "xfs")
    return Policy("image", "1.0", (device,), (volume,), ("a.switch",), "halt", options)
