"""What a description means: the model of one close to the reference appliance."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, minimal, place, write

from kiwilite.description.load import load, profiles_of
from kiwilite.description.model import Appliance, Package

MIB = 1024 * 1024


@pytest.fixture
def x86(tmp_path: Path) -> Appliance:
    appliance, _ = load(write(tmp_path, X86), arch="x86_64")
    return appliance


def names(packages: tuple[Package, ...]) -> list[str]:
    return [package.name for package in packages]


def test_the_reference_description_gives_warnings_about_its_passphrase_only(
    tmp_path: Path,
) -> None:
    _, found = load(write(tmp_path, X86), arch="x86_64")
    assert [d.code for d in found] == ["KL0601", "KL0602"]
    assert {(d.span.line, d.span.column) for d in found} == {place(X86, 'luks="insecure"')}


def test_head_and_preferences(x86: Appliance) -> None:
    assert (x86.name, x86.displayname, x86.arch) == ("x86", "Reference appliance", "x86_64")
    assert x86.specification.contact == "kiwilite@example.org"
    preferences = x86.preferences
    assert (preferences.version, preferences.packagemanager) == ("1.0.2", "apt")
    assert (preferences.locale, preferences.keytable, preferences.timezone) == (
        "en_US",
        "us",
        "UTC",
    )
    assert preferences.source_date_epoch == 1700000000
    assert preferences.script_network is False


def test_the_type_has_sizes_in_bytes_and_one_word_for_uefi(x86: Appliance) -> None:
    image_type = x86.type
    assert image_type.firmware == "uefi"
    assert image_type.efipartsize == 64 * MIB
    assert image_type.size is not None
    assert (image_type.size.bytes, image_type.size.additive) == (4096 * MIB, False)
    assert [(p.name, p.size, p.mountpoint) for p in image_type.partitions] == [
        ("home", 256 * MIB, "/home"),
        ("oci-storage", 512 * MIB, "/var/lib/containers/storage"),
        ("oci-preloaded", 1024 * MIB, "/var/lib/containers/loaded"),
    ]
    assert (image_type.squashfscompression, image_type.squashfscompression_level) == ("zstd", 3)
    assert image_type.bootloader is not None
    assert image_type.bootloader.timeout == 0


def test_the_overlay_and_its_encryption(x86: Appliance) -> None:
    overlay = x86.type.overlay
    assert overlay is not None
    assert (overlay.filesystem, overlay.verity_blocks, overlay.write_partition) == (
        "xfs",
        "all",
        True,
    )
    assert overlay.luks is not None
    assert (overlay.luks.passphrase, overlay.luks.version) == ("insecure", "luks2")
    assert (overlay.luks.unlock, overlay.luks.provisioning) == ("embedded", "firstboot")
    assert overlay.luks.options == (
        ("--cipher", "aegis128-random"),
        ("--key-size", "128"),
        ("--integrity", "aead"),
        ("--integrity-no-wipe", ""),
    )


def test_a_package_that_is_listed_twice_counts_at_its_first_place(tmp_path: Path) -> None:
    text = X86.replace(
        '<package name="openssh-server"/>',
        '<package name="openssh-server"/><package name="cryptsetup"/>',
    )
    appliance, found = load(write(tmp_path, text), arch="x86_64")
    assert names(appliance.packages.image).count("cryptsetup") == 1
    assert [d.code for d in found if d.severity == "note"] == ["KL0508"]


def test_packages_of_the_arch_and_those_of_the_image_type_among_them(
    x86: Appliance,
) -> None:
    assert names(x86.packages.image) == [
        "linux-image-cloud-amd64",
        "busybox-static",
        "cryptsetup",
        "xfsprogs",
        "openssh-server",
        "systemd-boot-efi",
    ]
    assert names(x86.packages.bootstrap) == ["ca-certificates"]
    assert names(x86.packages.delete) == ["apt"]
    assert x86.packages.bootstrap_package is None


def test_another_arch_takes_its_own_packages(tmp_path: Path) -> None:
    appliance, _ = load(write(tmp_path, X86), arch="aarch64")
    assert "linux-image-cloud-arm64" in names(appliance.packages.image)
    assert "linux-image-cloud-amd64" not in names(appliance.packages.image)


def test_a_profile_brings_its_bootstrap_archive_and_digest(tmp_path: Path) -> None:
    appliance, _ = load(write(tmp_path, X86), ("development",), arch="x86_64")
    assert appliance.profiles == ("development", "bootstrapped")
    archive = appliance.packages.bootstrap_package
    assert archive is not None
    assert (archive.name, archive.digest) == ("bootstrap-trixie", "0123456789abcdef" * 4)
    assert "vim" in names(appliance.packages.image)


def test_users_groups_files_archives_and_repositories(x86: Appliance) -> None:
    root, admin = x86.users
    assert (root.uid, root.groups) == (0, (("root", None),))
    assert admin.groups == (("users", None), ("systemd-journal", None), ("lan", 1234))
    assert admin.pwdformat == "encrypted"
    (motd,) = x86.files
    assert (motd.target, motd.owner, motd.permissions) == ("/etc/motd", "root:root", 0o644)
    (extra,) = x86.archives
    assert (extra.target_dir, extra.bootstrap) == ("/opt", False)
    (debian,) = x86.repositories
    assert (debian.path, debian.components) == ("distro:debian", ("main", "contrib"))
    assert debian.imageinclude and debian.use_gpg and not debian.imageonly


def test_spans_point_at_the_elements(x86: Appliance) -> None:
    vim_free = x86.packages.image[1]
    assert (vim_free.span.line, vim_free.span.column) == place(X86, '<package name="busybox-s')
    assert (x86.users[1].span.line, x86.users[1].span.column) == place(X86, "<user ", 2)


def test_scripts_and_overlay_trees_are_those_that_exist(tmp_path: Path) -> None:
    file = write(tmp_path, X86)
    for name in ("config.sh", "pre_disk_sync.sh", "other.sh"):
        (tmp_path / name).write_text("true\n")
    for name in ("root", "bootstrapped", "default"):
        (tmp_path / name).mkdir()
    appliance, _ = load(file, ("development",), arch="x86_64")
    assert [name for name, _ in appliance.scripts] == ["config", "pre_disk_sync"]
    assert appliance.overlay_trees == (tmp_path / "root", tmp_path / "bootstrapped")


@pytest.mark.parametrize(("written", "mode"), [("0644", 0o644), ("644", 0o644), ("4755", 0o4755)])
def test_permissions_are_octal(tmp_path: Path, written: str, mode: int) -> None:
    text = minimal(packages=f'<file name="motd" permissions="{written}"/>')
    appliance, _ = load(write(tmp_path, text))
    assert appliance.files[0].permissions == mode


def test_a_section_for_the_bootstrap_marks_its_files(tmp_path: Path) -> None:
    text = minimal(
        top='<packages type="bootstrap"><file name="motd"/>'
        '<archive name="extra.tar.gz"/></packages>'
    )
    appliance, _ = load(write(tmp_path, text))
    assert appliance.files[0].bootstrap and appliance.archives[0].bootstrap


def test_a_source_beside_the_description_becomes_absolute(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    text = minimal(top='<repository><source path="this://repo"/></repository>')
    appliance, _ = load(write(tmp_path, text))
    assert appliance.repositories[0].path == f"dir:{tmp_path / 'repo'}"


def test_profiles_of_lists_what_is_declared(tmp_path: Path) -> None:
    found = profiles_of(write(tmp_path, X86))
    assert [(p.name, p.imported, p.requires) for p in found] == [
        ("default", True, ()),
        ("bootstrapped", False, ()),
        ("development", False, ("bootstrapped",)),
    ]
