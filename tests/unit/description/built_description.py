"""A description with everything kiwilite builds, and values to change each part of it to."""

from __future__ import annotations

import re
from pathlib import Path

from lxml import etree

DIGEST = "sha256:" + "0a" * 32

EVERYTHING = f"""\
<image schemaversion="8.5" name="all" displayname="All of it">
<description type="system">
<author>a</author><contact>c</contact><specification>s</specification><license>MIT</license>
</description>
<profiles>
<profile name="p" description="d" import="true" arch="x86_64">
<requires profile="q" arch="x86_64"/>
</profile>
<profile name="q" description="e"/>
<profile name="other" description="e"/>
</profiles>
<preferences>
<version>1.0.0</version><packagemanager>apt</packagemanager>
<keytable>us</keytable><timezone>UTC</timezone>
<type image="oem" firmware="uefi" filesystem="xfs" format="qcow2" efipartsize="64"
 squashfscompression="zstd" squashfscompression_level="3" gpt_hybrid_mbr="true"
 kernelcmdline="quiet" luks="file://key" luks_version="luks2" luks_pbkdf="pbkdf2"
 luks_unlock="embedded" on_failure="reboot" overlayroot="true"
 overlayroot_write_partition="true" verity_blocks="all" embed_verity_metadata="true"
 provisioning="firstboot" boot_switches="rd.root.overlay.readonly" eficsm="false"
 apply_dps_codes="false" primary="true" target_blocksize="512" initrd_system="dracut">
<bootloader name="systemd_boot" timeout="3"/>
<size unit="M" unpartitioned="1" additive="false">4000</size>
<machine memory="4096" max_memory="4096"/>
<oemconfig><oem-resize>true</oem-resize><oem-resize-once>false</oem-resize-once></oemconfig>
<verity algorithm="sha256" salt="00ff" data_block_size="4096" hash_block_size="4096"
 hash_tree="appended" fec_roots="2" on_corruption="eio" metadata_key="file://rsa.pem"/>
<overlay><tree path="/etc"/></overlay>
<hybridmbr><entry partition="p.UEFI" type="ef" active="true"/></hybridmbr>
<partitions>
<partition name="home" size="64M" mountpoint="/home" filesystem="ext4"
 encrypted="true" reset="true" mountoptions="ro"/>
<partition name="data" size="600M" mountpoint="/data" filesystem="ext4" label="DATA"/>
</partitions>
<luksformat>
<option name="--sector-size" value="4096"/><option name="--cipher" value="aegis128-random"/>
<option name="--integrity" value="aead"/>
</luksformat>
</type>
</preferences>
<preferences profiles="p" arch="x86_64" script_network="false" source_date_epoch="1">
<locale>en_US</locale>
</preferences>
<users arch="x86_64" profiles="p">
<user name="me" groups="users" home="/home/me" id="1000" password="*" pwdformat="encrypted"
 realname="Me" shell="/bin/sh"/>
</users>
<repository type="apt-deb" profiles="p" arch="x86_64" alias="debian" components="main"
 distribution="trixie" imageinclude="true" repository_gpgcheck="true"
 priority="500" architectures="amd64">
<source path="http://example.org/{{snapshot}}/debian" snapshot="20260101T000000Z">
<signing key="file://rsa.pem"/>
</source>
</repository>
<repository type="apt-deb" distribution="trixie" imageonly="false">
<source path="http://example.org/more"/>
</repository>
<packages type="bootstrap" bootstrap_package="tree" bootstrap_digest="{DIGEST}">
<package name="passwd"/>
</packages>
<packages type="image" profiles="p" patternType="onlyRequired">
<package name="vim" arch="x86_64"/>
<archive name="extra.tar.gz" target_dir="/opt"/>
<file name="motd" target="/etc/motd" owner="root:root" permissions="0644" arch="x86_64"/>
</packages>
<packages type="image">
<package name="linux-image-amd64"/><package name="busybox"/><package name="cryptsetup-bin"/>
<package name="systemd-boot-efi"/><package name="xfsprogs"/><package name="dracut"/>
<package name="e2fsprogs"/><package name="grub-pc-bin"/>
</packages>
</image>
"""
"""Needs `key`, `rsa.pem`, `motd` and `extra.tar.gz` beside it."""

AT_BUILD = (
    EVERYTHING.replace('provisioning="firstboot"', 'provisioning="build"\n luks_fill="sparse"')
    .replace(' boot_switches="', ' luks_journal="written" boot_switches="')
    .replace("aegis128-random", "aes-xts-plain64")
    .replace(
        'value="aead"/>', 'value="hmac-sha256"/><keyslot name="r" key="file://key" pbkdf="pbkdf2"/>'
    )
)
"""The same with a volume that the build makes."""

SIMPLE = re.sub(
    r"<luksformat>.*</luksformat>|<hybridmbr>.*</hybridmbr>|<oemconfig>.*</oemconfig>"
    r'|fec_roots="2"|metadata_key="file://rsa.pem"|\n encrypted="true" .* mountoptions="ro"',
    "",
    EVERYTHING,
    flags=re.DOTALL,
).replace('size="64M"', 'size="600M"')
"""The same without what restricts other values."""

CHANGED = {
    "image@name": ("some",),
    "image@displayname": ("Some",),
    "profile@name": ("z",),
    "profile@import": ("false",),
    "profile@arch": ("aarch64",),
    "requires@profile": ("other",),
    "requires@arch": ("aarch64",),
    "preferences@profiles": ("other",),
    "preferences@arch": ("aarch64",),
    "preferences@source_date_epoch": ("2",),
    "type@efipartsize": ("65",),
    "type@squashfscompression_level": ("4",),
    "type@kernelcmdline": ("verbose",),
    "type@luks": ("file://rsa.pem",),
    "type@verity_blocks": ("7",),
    "type@boot_switches": ("rd.root.overlay.temporary",),
    "verity@salt": ("00fe",),
    "verity@fec_roots": ("3",),
    "verity@metadata_key": ("file://key",),
    "tree@path": ("/var",),
    "entry@partition": ("home",),
    "entry@type": ("0c",),
    "keyslot@key": ("file://rsa.pem",),
    "bootloader@timeout": ("4",),
    "size@unit": ("G",),
    "size@unpartitioned": ("2",),
    "partition@name": ("house",),
    "partition@size": ("65M",),
    "partition@mountpoint": ("/house",),
    "partition@label": ("HOUSE",),
    "partition@mountoptions": ("rw",),
    "option@name": ("--pbkdf-memory",),
    "option@value": ("512",),
    "users@arch": ("aarch64",),
    "users@profiles": ("other",),
    "user@groups": ("audio",),
    "user@home": ("/home/you",),
    "user@id": ("1001",),
    "user@name": ("you",),
    "user@password": ("!",),
    "user@realname": ("You",),
    "user@shell": ("/bin/bash",),
    "repository@profiles": ("other",),
    "repository@arch": ("aarch64",),
    "repository@components": ("main contrib",),
    "repository@distribution": ("sid",),
    "repository@priority": ("501",),
    "repository@architectures": ("arm64",),
    "source@path": ("https://example.org/debian",),
    "signing@key": ("file://key",),
    "packages@profiles": ("other",),
    "packages@bootstrap_package": ("stem",),
    "packages@bootstrap_digest": ("sha256:" + "0b" * 32,),
    "package@name": ("nano",),
    "package@arch": ("aarch64",),
    "archive@name": ("key",),
    "archive@target_dir": ("/srv",),
    "file@name": ("key",),
    "file@target": ("/etc/issue",),
    "file@owner": ("me:users",),
    "file@permissions": ("0600",),
    "file@arch": ("aarch64",),
}
"""What an attribute's value is changed to, where the grammar has no list of them."""

TEXTS = {
    "version": "1.0.1",
    "locale": "de_DE",
    "keytable": "de",
    "timezone": "Europe/Stockholm",
    "oem-resize": "false",
    "oem-resize-once": "true",
    "size": "4001",
}
"""What an element's text is changed to."""

REFUSED = frozenset(
    (
        "profile@name",  # sections name it
        "type@overlayroot_write_partition",  # `luks` needs the partition
    )
)
"""Attributes whose changed value no longer fits the rest; that is how they are seen to count."""


def write_files(directory: Path) -> None:
    """What the description refers to."""
    for name in ("key", "rsa.pem", "motd", "extra.tar.gz"):
        (directory / name).write_text(name)


def changed(text: str, element: str, attribute: str | None, value: str) -> str:
    """`text` with another value of the first such attribute (or text of such an element)."""
    root = etree.fromstring(text)
    path = f"//{element}" if attribute is None else f"//{element}[@{attribute}]"
    found = root.xpath(path)
    assert isinstance(found, list) and found, path
    node = found[0]
    assert isinstance(node, etree._Element)
    if attribute is None:
        node.text = value
    else:
        node.set(attribute, value)
    return etree.tostring(root, encoding="unicode")


def without(text: str, element: str) -> str:
    """`text` without its first such element."""
    root = etree.fromstring(text)
    node = next(root.iter(element))
    parent = node.getparent()
    assert parent is not None
    parent.remove(node)
    return etree.tostring(root, encoding="unicode")
