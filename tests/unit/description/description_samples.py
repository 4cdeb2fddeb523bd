"""Descriptions the tests are made of."""

from __future__ import annotations

from pathlib import Path

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import load, read

X86 = """\
<?xml version="1.0" encoding="utf-8"?>
<image schemaversion="8.5" name="x86" displayname="Reference appliance">
    <description type="system">
        <author>kiwilite</author>
        <contact>kiwilite@example.org</contact>
        <specification>A verified root under an encrypted overlay</specification>
    </description>
    <profiles>
        <profile name="default" description="Bootstraps from packages" import="true"/>
        <profile name="bootstrapped" description="Bootstraps from an archive"/>
        <profile name="development" description="Bootstrapped, plus tools">
            <requires profile="bootstrapped"/>
        </profile>
    </profiles>
    <preferences source_date_epoch="1700000000">
        <version>1.0.2</version>
        <packagemanager>apt</packagemanager>
        <locale>en_US</locale>
        <keytable>us</keytable>
        <timezone>UTC</timezone>
        <type image="oem" firmware="efi" filesystem="xfs" gpt_hybrid_mbr="true" efipartsize="64"
              overlayroot="true" overlayroot_write_partition="true"
              squashfscompression="zstd" squashfscompression_level="3"
              verity_blocks="all" format="qcow2"
              luks="insecure" luks_version="luks2" luks_unlock="embedded"
              provisioning="firstboot" on_failure="reboot" target_blocksize="512"
              kernelcmdline="console=ttyS0">
            <bootloader name="systemd_boot" timeout="0"/>
            <luksformat>
                <option name="--cipher" value="aegis128-random"/>
                <option name="--key-size" value="128"/>
                <option name="--integrity" value="aead"/>
                <option name="--integrity-no-wipe"/>
            </luksformat>
            <partitions>
                <partition name="home" size="256M" mountpoint="/home"
                           filesystem="ext4"/>
                <partition name="oci-storage" size="512"
                           mountpoint="/var/lib/containers/storage" filesystem="xfs"
                           label="STORAGE"/>
                <partition name="oci-preloaded" size="1G"
                           mountpoint="/var/lib/containers/loaded" filesystem="squashfs"/>
            </partitions>
            <size unit="G">4</size>
        </type>
    </preferences>
    <users>
        <user name="root" password="$6$salt$hash" groups="root" id="0" home="/root"/>
        <user name="admin" password="$6$salt$hash" groups="users,systemd-journal,lan:1234"
              realname="Administrator" shell="/bin/bash"/>
    </users>
    <repository type="apt-deb" alias="debian" distribution="trixie"
                components="main contrib" imageinclude="true">
        <source path="distro:debian"/>
    </repository>
    <packages type="bootstrap" profiles="default">
        <package name="ca-certificates"/>
    </packages>
    <packages type="bootstrap" profiles="bootstrapped" bootstrap_package="bootstrap-trixie"
              bootstrap_digest="sha256:DIGEST">
        <package name="ca-certificates"/>
    </packages>
    <packages type="image">
        <package name="linux-image-cloud-amd64" arch="x86_64"/>
        <package name="linux-image-cloud-arm64" arch="aarch64"/>
        <package name="busybox-static"/>
        <package name="cryptsetup"/>
        <package name="xfsprogs"/>
        <package name="openssh-server"/>
        <file name="motd" target="/etc/motd" owner="root:root" permissions="0644"/>
        <archive name="extra.tar.gz" target_dir="/opt"/>
    </packages>
    <packages type="oem">
        <package name="systemd-boot-efi"/>
    </packages>
    <packages type="image" profiles="development">
        <package name="vim"/>
    </packages>
    <packages type="delete">
        <package name="apt"/>
    </packages>
</image>
""".replace("DIGEST", "0123456789abcdef" * 4)
"""Close to the reference appliance; needs `motd` and `extra.tar.gz` beside it."""


def write(directory: Path, text: str, name: str = "appliance.kiwi") -> Path:
    """`text` as a description file, with the files that X86 refers to."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "motd").write_text("hello\n")
    (directory / "extra.tar.gz").write_bytes(b"")
    file = directory / name
    file.write_text(text, encoding="utf-8")
    return file


def place(text: str, needle: str, occurrence: int = 1) -> tuple[int, int]:
    """Line and column, from 1, of the given occurrence of `needle` in `text`."""
    at = -1
    for _ in range(occurrence):
        at = text.index(needle, at + 1)
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def findings(file: Path, *profiles: str, arch: str = "x86_64") -> list[Diagnostic]:
    """All that is to be said of a description."""
    try:
        return list(load(file, profiles, arch=arch)[1])
    except DescriptionInvalid as error:
        return list(error.diagnostics)


def errors(file: Path) -> list[Diagnostic]:
    """What is wrong with a description whatever is chosen of it."""
    try:
        problems = read(file).problems
    except DescriptionInvalid as error:
        problems = error.diagnostics
    return [d for d in problems if d.severity == "error"]


def places(found: list[Diagnostic]) -> list[tuple[str, str, int, int]]:
    """(severity, code, line, column) of each."""
    return [(d.severity, d.code, d.span.line, d.span.column) for d in found]


def minimal(
    *,
    top: str = "",
    preferences: str = "<version>1.0.0</version>",
    type_attributes: str = "",
    type_children: str = "",
    packages: str = "",
) -> str:
    """A small valid description; each part is put in on lines of its own."""
    return f"""\
<image schemaversion="8.5" name="small">
<description type="system">
<author>a</author><contact>c</contact><specification>s</specification>
</description>
<preferences>
{preferences}
<type image="oem" firmware="uefi" filesystem="xfs" overlayroot="true"
overlayroot_write_partition="false"
{type_attributes}>
{type_children}
</type>
</preferences>
{top}
<packages type="image">
<package name="linux-image-amd64"/><package name="busybox"/><package name="cryptsetup-bin"/>
<package name="systemd-boot-efi"/><package name="xfsprogs"/>
{packages}
</packages>
</image>
"""


def encrypted(
    *options: str,
    luksformat: str = "",
    type_attributes: str = "",
    type_children: str = "",
    packages: str = "",
) -> str:
    """`minimal` with an encrypted overlay; `options` are the attributes of `<option>`s.

    It needs `key`, `recovery` and `rsa.pem` beside it, and gives one warning, KL0602.
    """
    inner = "\n".join(f"<option {option}/>" for option in options) + luksformat
    children = f"<luksformat>\n{inner}\n</luksformat>" if inner else ""
    text = minimal(
        type_attributes=f'luks="file://key" {type_attributes}',
        type_children=f"{children}\n{type_children}",
        packages=packages,
    )
    return text.replace('\noverlayroot_write_partition="false"', "")


def write_keys(directory: Path) -> None:
    """The key files that `encrypted` refers to."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in ("key", "recovery", "rsa.pem"):
        (directory / name).write_text("secret")


STORAGE = encrypted(
    'name="--cipher" value="aes-gcm-random"',
    'name="--integrity" value="aead"',
    'name="--key-size" value="256"',
    'name="--sector-size" value="4096"',
    'name="--pbkdf" value="argon2id"',
    'name="--pbkdf-memory" value="65536"',
    luksformat='<keyslot name="recovery" key="file://recovery"/>',
    type_attributes='provisioning="build" luks_fill="full" luks_journal="deferred" eficsm="true" '
    'gpt_hybrid_mbr="true" verity_blocks="99" embed_verity_metadata="true" '
    'target_blocksize="512" boot_switches="rd.root.overlay.temporary"',
    type_children="""\
<machine memory="1024"/>
<oemconfig><oem-resize>true</oem-resize><oem-resize-once>true</oem-resize-once></oemconfig>
<partitions>
<partition name="home" size="64M" mountpoint="/home" filesystem="ext4" encrypted="true"
reset="true" mountoptions="nosuid,nodev"/>
<partition name="tools" mountpoint="/opt/tools" filesystem="squashfs"/>
</partitions>
<overlay><tree path="/etc"/><tree path="/var"/></overlay>
<verity salt="00ff" hash_tree="partition" fec_roots="2" metadata_key="file://rsa.pem"/>
<hybridmbr><entry partition="p.UEFI" type="ef" active="true"/></hybridmbr>""",
    packages='<package name="e2fsprogs"/><package name="grub-pc-bin"/>',
)
"""All of the storage; it needs what `write_keys` writes beside it."""
