"""Values that are built as a rule, and not where something else stands beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from kiwilite.description.tree import Node
from kiwilite.description.values import boolean, comma_list

Status = Literal["ignored", "not built", "not run"]
"""How kiwilite treats what it does not build."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A name that is not built `when` something holds; `why` it is so, and what to do `instead`.

    `holds` is asked with the element and the `<type>` that was chosen.
    """

    name: str
    status: Status
    when: str
    holds: Callable[[Node, Node], bool]
    why: str
    instead: str


def _nobody_knows(node: Node, _: Node) -> bool:
    return node.attributes.get("luks") in ("", "random")


def _in_the_clear(node: Node, _: Node) -> bool:
    writes = boolean(node, "overlayroot_write_partition", default=True)
    return boolean(node, "overlayroot") and writes and "luks" not in node.attributes


def _unencrypted(node: Node, _: Node) -> bool:
    return "luks" not in node.attributes


def _without_level(node: Node, _: Node) -> bool:
    return (node.get("squashfscompression") or "zstd") not in ("zstd", "gzip")


def _no_menu(node: Node, _: Node) -> bool:
    return node.get("name") != "systemd_boot"


def _mainframe(node: Node, _: Node) -> bool:
    return node.get("name") in ("zipl", "grub2_s390x_emu")


def _without_label(node: Node, _: Node) -> bool:
    return node.get("filesystem") in (None, "squashfs")


def _made_on_the_device(node: Node, _: Node) -> bool:
    return boolean(node, "encrypted")


def _home_of_root(node: Node, _: Node) -> bool:
    return node.get("name") == "root" and (node.get("home") or "").rstrip("/") != "/root"


def _several(node: Node, _: Node) -> bool:
    return len(comma_list(node.text)) > 1


def _kept(repository: Node) -> bool:
    return boolean(repository, "imageinclude") or boolean(repository, "imageonly")


def _local(repository: Node, _: Node) -> bool:
    source = repository.first("source")
    path = (source.get("path") if source else None) or ""
    return _kept(repository) and not path.startswith(("http://", "https://", "distro:"))


def _with_key(repository: Node, image_type: Node) -> bool:
    source = repository.first("source")
    signed = source is not None and source.first("signing") is not None
    return _kept(repository) and signed and not _local(repository, image_type)


def _flat(repository: Node, _: Node) -> bool:
    return repository.get("distribution") is None


def _from_afar(signing: Node, _: Node) -> bool:
    return not (signing.get("key") or "").startswith(("file:", "this:"))


def _not_of_the_image(section: Node, _: Node) -> bool:
    more = section.get("patternType") == "plusRecommended"
    return more and section.get("type") in ("bootstrap", "delete", "uninstall")


_ADDRESS: Final = "from `dir:`, `file://` or `this://`"
_UNENCRYPTED: Final = "there is no volume that it could be about"
_ADD_LUKS: Final = 'add luks="file://PATH", or leave it out'

CONDITIONS: Final = (
    Condition(
        "type@luks",
        "not built",
        'empty or `"random"`',
        _nobody_knows,
        "nobody would know the passphrase",
        'write luks="file://PATH"',
    ),
    Condition(
        "type@overlayroot",
        "not built",
        "with a partition to write to and without `luks`",
        _in_the_clear,
        "an overlay partition without encryption is not made",
        'add luks="file://PATH", or overlayroot_write_partition="false" for one in memory',
    ),
    Condition(
        "type@luks_version", "ignored", "without `luks`", _unencrypted, _UNENCRYPTED, _ADD_LUKS
    ),
    Condition(
        "type@luks_pbkdf", "ignored", "without `luks`", _unencrypted, _UNENCRYPTED, _ADD_LUKS
    ),
    Condition(
        "type@squashfscompression_level",
        "ignored",
        "with another compressor than zstd and gzip",
        _without_level,
        "this compressor is used without a level",
        'write squashfscompression="zstd", or leave the level out',
    ),
    Condition(
        "bootloader@name",
        "not built",
        "zipl, grub2_s390x_emu",
        _mainframe,
        "it is for s390x",
        'write name="systemd_boot"',
    ),
    Condition(
        "bootloader@timeout",
        "ignored",
        'without name="systemd_boot"',
        _no_menu,
        "no menu is shown",
        'write name="systemd_boot", or leave it out',
    ),
    Condition(
        "partition@label",
        "ignored",
        "of a squashfs, or without `filesystem`",
        _without_label,
        "there is no file system that could have a label",
        "leave it out; the partition table has the partition's `name`",
    ),
    Condition(
        "partition@label",
        "ignored",
        'with `encrypted="true"`',
        _made_on_the_device,
        "the first boot makes its file system, and gives it no label",
        "leave it out; devices are found by PARTUUID",
    ),
    Condition(
        "user@home",
        "ignored",
        "of root, if not /root",
        _home_of_root,
        "an account that the packages bring keeps its home",
        "move it with usermod in config.sh, or leave it out",
    ),
    Condition(
        "locale",
        "ignored",
        "all after the first of a list",
        _several,
        "the system has the first one",
        "name one, and generate the others in config.sh",
    ),
    Condition(
        "repository@imageinclude",
        "ignored",
        _ADDRESS,
        _local,
        "a place on the build host means nothing to a device",
        "write the address that devices use to root/etc/apt/sources.list.d/NAME.list",
    ),
    Condition(
        "repository@imageonly",
        "ignored",
        _ADDRESS,
        _local,
        "a place on the build host means nothing to a device",
        "write the address that devices use to root/etc/apt/sources.list.d/NAME.list",
    ),
    Condition(
        "repository@imageinclude",
        "ignored",
        "with a `<signing>` key",
        _with_key,
        "the image has the source, and not its key",
        'copy it: `<file name="KEY" target="/etc/apt/trusted.gpg.d/KEY"/>`',
    ),
    Condition(
        "repository@priority",
        "ignored",
        "without `distribution`",
        _flat,
        "packages are preferred by the name of their distribution",
        "name the distribution, or leave it out",
    ),
    Condition(
        "signing@key",
        "not built",
        "from `http://`, `https://` or `ftp://`",
        _from_afar,
        "no key is fetched that nobody has looked at",
        'put it beside the description, and write key="file://NAME"',
    ),
    Condition(
        "packages@patternType",
        "ignored",
        'plusRecommended with type="bootstrap", `delete` or `uninstall`',
        _not_of_the_image,
        "recommended packages come with those of the image",
        'write it at `<packages type="image">`',
    ),
)
