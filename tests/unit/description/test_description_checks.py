"""What can be known before the first package is downloaded."""

from __future__ import annotations

from pathlib import Path

import pytest
from description_samples import X86, findings, minimal, place, write

from kiwilite.description.load import load
from kiwilite.description.room import ROOT_LEAST
from kiwilite.description.values import MIB


def partitions(*attributes: str) -> str:
    inner = "\n".join(f"<partition {a}/>" for a in attributes)
    return f"<partitions>\n{inner}\n</partitions>"


@pytest.mark.parametrize(
    ("text", "severity", "code", "at"),
    [
        (minimal(packages='<file name="none"/>'), "error", "KL0301", 'name="none"'),
        (minimal(packages='<file name="/etc/x.pem"/>'), "warning", "KL0301", 'name="/etc'),
        (minimal(packages='<archive name="none.tar"/>'), "error", "KL0302", 'name="none.tar"'),
        (minimal(packages='<file name="motd" target="/a/../../b"/>'), "error", "KL0304", "target"),
        (minimal(packages='<file name="motd" permissions="rw"/>'), "error", "KL0305", "permis"),
        (minimal(packages='<file name="motd" permissions="0888"/>'), "error", "KL0305", "permis"),
        (minimal(type_children=partitions('name="a" size="1" mountpoint="/x"',
                                          'name="b" size="1" mountpoint="/x/"')),
         "error", "KL0401", 'mountpoint="/x/"'),
        (minimal(type_children=partitions('name="a" size="1" mountpoint="/"')),
         "error", "KL0401", "mountpoint"),
        (minimal(type_children=partitions('name="a" size="1" mountpoint="home"')),
         "error", "KL0406", "mountpoint"),
        (minimal(type_children=partitions('name="a" size="1"', 'name="a" size="1"')),
         "error", "KL0402", 'name="a" size="1"/>\n</par'),
        (minimal(type_children=partitions('name="a" size="299" filesystem="xfs"')),
         "error", "KL0403", 'size="299"'),
        (minimal(top='<users><user name="u" password="p" pwdformat="plain"/></users>'),
         "warning", "KL0601", "password"),
        (minimal(top='<users><user name="u" password="p"/><user name="u" password="q"/></users>'),
         "error", "KL0603", 'name="u" password="q"'),
        (minimal(top='<users><user name="u" password="p" groups="a:b"/></users>'),
         "error", "KL0604", "groups"),
        (minimal(top='<repository><source path="obz://x/y"/></repository>'),
         "error", "KL0502", "path"),
        (minimal(top='<repository><source path="obs://x/y"/></repository>'),
         "error", "KL0901", "path"),
        (minimal(top='<repository><source path="distro:Debian!"/></repository>'),
         "error", "KL0502", "path"),
        (minimal(top='<repository><source path="file:///none/such"/></repository>'),
         "error", "KL0503", "path"),
        (minimal(top='<repository password="x"><source path="distro:debian"/></repository>'),
         "warning", "KL0601", "password"),
        (minimal(preferences="<version>1</version><packagemanager>zypper</packagemanager>"),
         "error", "KL0901", "<packagemanager>"),
        (minimal(type_attributes='mdraid="mirroring"'), "error", "KL0901", "mdraid"),
        (minimal(type_attributes='bootpartition="true"'), "warning", "KL0902", "bootpartition"),
        (minimal(type_attributes='editbootinstall="x.sh"'), "error", "KL0903", "editboot"),
        (minimal(type_children='<machine ncpus="2"/>'), "warning", "KL0902", "ncpus"),
        (minimal(type_children="<systemdisk/>"), "error", "KL0901", "<systemdisk"),
        (minimal(packages='<ignore name="x"/>'), "warning", "KL0902", "<ignore"),
        (minimal().replace('firmware="uefi"', ""), "error", "KL0901", "<type"),
        (minimal().replace('overlayroot="true"', ""), "error", "KL0901", "<type"),
        (minimal().replace('"oem" firmware="uefi"', '"iso"').replace('overlayroot="true"', ""),
         "error", "KL0901", "image=\"iso\""),
        (minimal().replace('<package name="busybox"/>', ""), "error", "KL0501", "<type"),
        (minimal().replace("linux-image-amd64", "linux-headers-amd64"), "error", "KL0501", "<type"),
        (minimal(type_attributes='verity_blocks="all"').replace("cryptsetup-bin", "x"),
         "error", "KL0501", "<type"),
    ],
)  # fmt: skip
def test_each_finding_has_its_place(
    tmp_path: Path, text: str, severity: str, code: str, at: str
) -> None:
    found = [d for d in findings(write(tmp_path, text)) if d.code == code]
    assert found, findings(write(tmp_path, text))
    assert found[0].severity == severity
    assert (found[0].span.line, found[0].span.column) == place(text, at)


@pytest.mark.parametrize(
    "text",
    [
        minimal(),
        minimal(type_attributes='bootpartition="false" initrd_system="none"').replace(
            ' initrd_system="none"', ""
        ),
        minimal(type_children="<oemconfig><oem-resize>false</oem-resize></oemconfig>"),
        minimal(type_children=partitions('name="a" size="300" filesystem="xfs"')),
        minimal().replace('<package name="cryptsetup-bin"/>', ""),
        minimal().replace("linux-image-amd64", "linux-generic"),
    ],
)
def test_what_asks_for_nothing_special_is_silent(tmp_path: Path, text: str) -> None:
    assert findings(write(tmp_path, text)) == []


@pytest.mark.parametrize(("mib", "fits"), [(321, True), (320, False)])
def test_an_encrypted_xfs_overlay_needs_321_mib(tmp_path: Path, mib: int, fits: bool) -> None:
    taken = 64 + 256 + 512 + 1024 + 2 + 2 + ROOT_LEAST // MIB
    text = X86.replace('<size unit="G">4</size>', f"<size>{taken + mib}</size>")
    found = [d for d in findings(write(tmp_path, text)) if d.code == "KL0403"]
    assert bool(found) is not fits
    if found:
        assert (found[0].span.line, found[0].span.column) == place(text, "<size>")
        assert "321 MiB" in found[0].message


def test_a_size_on_top_of_the_contents_always_fits(tmp_path: Path) -> None:
    text = X86.replace('<size unit="G">4</size>', '<size additive="true">1</size>')
    assert "KL0403" not in [d.code for d in findings(write(tmp_path, text))]


def test_a_bootstrap_archive_may_bring_the_packages_of_the_initrd(tmp_path: Path) -> None:
    file = write(tmp_path, X86.replace('<package name="xfsprogs"/>', ""))
    severities = {
        profile: [d.severity for d in findings(file, profile) if d.code == "KL0501"]
        for profile in ("default", "bootstrapped")
    }
    assert severities == {"default": ["error"], "bootstrapped": ["warning"]}


def test_what_an_inactive_profile_asks_for_is_not_reported(tmp_path: Path) -> None:
    top = (
        '<profiles><profile name="p" description="d"/></profiles>'
        '<packages type="image" profiles="p"><file name="none"/></packages>'
        '<preferences profiles="p"><bootloader-theme>x</bootloader-theme></preferences>'
    )
    file = write(tmp_path, minimal(top=top))
    assert findings(file) == []
    assert {d.code for d in findings(file, "p")} == {"KL0301", "KL0902"}


@pytest.mark.parametrize("kind", ["directory", "dangling"])
def test_a_script_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str) -> None:
    file = write(tmp_path, minimal())
    if kind == "directory":
        (tmp_path / "config.sh").mkdir()
    else:
        (tmp_path / "config.sh").symlink_to("nowhere")
    assert [d.code for d in findings(file)] == ["KL0303"]


def test_disk_sh_is_reported_as_not_run(tmp_path: Path) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / "disk.sh").write_text("true\n")
    assert [(d.code, d.severity) for d in findings(file)] == [("KL0903", "error")]


def test_a_packed_overlay_tree_is_reported_as_not_built(tmp_path: Path) -> None:
    file = write(tmp_path, minimal())
    (tmp_path / "root.tar.gz").write_bytes(b"")
    assert [(d.code, d.severity) for d in findings(file)] == [("KL0901", "error")]


def test_a_profile_name_never_leads_out_of_the_directory(tmp_path: Path) -> None:
    top = '<profiles><profile name=".." description="d" import="true"/></profiles>'
    appliance, _ = load(write(tmp_path / "inner", minimal(top=top)))
    assert appliance.overlay_trees == ()


def test_a_passphrase_by_reference_is_no_secret_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    text = X86.replace('luks="insecure"', 'luks="file://key"')
    assert [d.code for d in findings(write(tmp_path, text))] == ["KL0602"]


def test_a_key_file_that_is_not_there_is_an_error_at_its_attribute(tmp_path: Path) -> None:
    text = X86.replace('luks="insecure"', 'luks="file://key"')
    found = findings(write(tmp_path, text))
    assert [d.code for d in found] == ["KL0301", "KL0602"]
    assert (found[0].span.line, found[0].span.column) == place(text, "luks=")


@pytest.mark.parametrize("luks", ["random", ""])
def test_a_passphrase_nobody_would_know_is_not_built(tmp_path: Path, luks: str) -> None:
    text = X86.replace('luks="insecure"', f'luks="{luks}"')
    assert [d.code for d in findings(write(tmp_path, text))] == ["KL0901"]


def test_an_overlay_partition_in_the_clear_is_not_built(tmp_path: Path) -> None:
    text = minimal().replace('overlayroot_write_partition="false"', "")
    found = findings(write(tmp_path, text))
    assert [d.code for d in found] == ["KL0901"]
    assert (found[0].span.line, found[0].span.column) == place(text, "overlayroot=")


def test_a_description_as_kiwi_users_have_it_drops_nothing_silently(tmp_path: Path) -> None:
    text = minimal(
        preferences="<version>1.0.1</version><packagemanager>apt</packagemanager>",
        type_attributes=(
            'initrd_system="dracut" overlayroot_readonly_partsize="1024" bootpartition="true" '
            'bootpartsize="256" bootfilesystem="ext4"'
        ),
        type_children='<bootloader name="grub2" console="console" timeout="0"/>',
    ).replace('schemaversion="8.5"', 'schemaversion="7.4"')
    found = findings(write(tmp_path, text))
    assert [(d.code, d.span.line) for d in found if d.severity == "error"] == [("KL0501", 9)]
    assert [d.message.split("=")[0].strip("`") for d in found] == [
        "no package `dracut` is installed, which is needed for making the initrd",
        "overlayroot_readonly_partsize",
        "bootpartition",
        "bootpartsize",
        "bootfilesystem",
        "name",
        "console",
        "timeout",
    ]
