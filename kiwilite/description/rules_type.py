"""Rules beyond the grammar for `<type>` and what is in it.

Where KIWI's own rule can never apply because of a slip in it, a violation is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from kiwilite.description.diagnostics import Diagnostic, Severity
from kiwilite.description.fault import fault
from kiwilite.description.given import lacks_attribute, lacks_child, value
from kiwilite.description.tree import Node
from kiwilite.description.values import number
from kiwilite.description.vocabulary import AttributeForm, vocabulary

Rule = Callable[[Node, tuple[Node, ...]], Iterator[Diagnostic]]
"""Gives the violations of an element; the second argument are those around it, outermost first."""

RESERVED_PARTITIONS: Final = frozenset(
    ("root", "readonly", "boot", "prep", "spare", "swap", "efi_csm", "efi")
)

_BTRFS: Final = (
    "btrfs_quota_groups",
    "btrfs_root_is_snapper_snapshot",
    "btrfs_root_is_subvolume",
    "btrfs_set_default_volume",
    "btrfs_root_is_readonly_snapshot",
)

_MANDATORY: Final = {"oem": "filesystem", "appx": "metadata_path"}
"""Attributes that an image type must have."""

_ACCEPTED_BY_KIWI: Final = frozenset(("luks_version", "luks_randomize"))
"""Attributes that KIWI accepts for image types they mean nothing for."""

_LEVELS: Final = {"zstd": range(1, 23), "gzip": range(1, 10)}
"""Of the squashfs compressors that have some."""

_IN_CONTAINER: Final = ("oci:", "docker:")


def _images(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    """Attributes that the grammar annotates with other image types."""
    image_type = node if node.name == "type" else around[-1]
    image = value(image_type, "image") if image_type.name == "type" else None
    if not image:
        return
    forms = vocabulary().elements[node.name].attributes
    others = [
        form
        for form in forms.values()
        if form.name in node.attributes and form.images and image not in form.images
    ]
    for form in (form for form in others if form.required):
        message = f'`<{node.name}>` has no meaning for image="{image}"'
        yield fault(node, None, "KL0701", message, _belongs(form))
        return
    for form in others:
        severity: Severity = "warning" if form.name in _ACCEPTED_BY_KIWI else "error"
        message = f'`{form.name}` has no meaning for image="{image}"'
        span = node.attribute_span(form.name)
        yield Diagnostic(span, severity, "KL0701", message, _belongs(form))


def _belongs(form: AttributeForm) -> str:
    return "it belongs to " + " or ".join(f'image="{name}"' for name in form.images)


def _mandatory(node: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    image = value(node, "image") or ""
    name = _MANDATORY.get(image)
    if name and lacks_attribute(node, name):
        message = f'`<type image="{image}">` needs `{name}`'
        doc = vocabulary().elements["type"].attributes[name].doc
        yield fault(node, None, "KL0702", message, doc)


def _btrfs(node: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    """What only btrfs has, with another file system or above LVM."""
    filesystem = value(node, "filesystem")
    system = node.first("systemdisk")
    for name in _BTRFS:
        if name not in node.attributes:
            continue
        if filesystem not in (None, "", "btrfs"):
            message = f'`{name}` of `<type>` needs `filesystem="btrfs"`'
            hint = f'with `filesystem="{filesystem}"` remove `{name}`'
            yield fault(node, name, "KL0702", message, hint)
        elif system is not None and value(system, "preferlvm") == "true":  # KIWI takes "1"
            message = f'`{name}` and `preferlvm="true"` of `<systemdisk>` exclude each other'
            hint = "the volumes are those of btrfs or of LVM; remove one of the two attributes"
            yield fault(node, name, "KL0703", message, hint)


def _squashfs_level(node: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    name = "squashfscompression_level"
    compressor, level = value(node, "squashfscompression") or "zstd", number(node.get(name))
    levels = _LEVELS.get(compressor)
    if levels and level is not None and level not in levels:
        message = f"{compressor} has no level {level}"
        hint = f"its levels are {levels[0]} to {levels[-1]}"
        yield fault(node, name, "KL0105", message, hint)


def _format(node: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    kind = value(node, "format")
    if kind == "vagrant" and lacks_child(node, "vagrantconfig"):
        message = '`format="vagrant"` needs a `<vagrantconfig>`'
        hint = 'add <vagrantconfig provider="libvirt" virtualsize="…"/> with the size in GiB'
        yield fault(node, "format", "KL0702", message, hint)
    if value(node, "image") != "oem" or kind is None or kind.startswith(_IN_CONTAINER):
        return
    if "derived_from" in node.attributes:
        message = "`derived_from` of a disk image needs a `format` of a container"
        hint = 'such as format="oci:qcow2": only a disk in a container has a base'
        yield fault(node, "derived_from", "KL0702", message, hint)


def _container(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    image_type = around[-1]
    if image_type.name != "type" or "name" not in node.attributes:
        return
    kind = value(image_type, "format")
    if kind and not kind.startswith(_IN_CONTAINER):
        message = f'`<containerconfig>` has no meaning for format="{kind}"'
        hint = f'write format="oci:{kind}" for a disk in a container'
        yield fault(node, None, "KL0702", message, hint)


def _luksformat(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    if around[-1].name == "type" and lacks_attribute(around[-1], "luks"):
        message = "`<luksformat>` needs `luks` at its `<type>`"
        yield fault(node, None, "KL0702", message, 'add luks="file://PATH" with the passphrase')
    if not node.children:
        message = "`<luksformat>` needs an `<option>` or a `<keyslot>`"
        yield fault(node, None, "KL0104", message, "remove it where there is nothing to set")


def _installmedia(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    image_type = around[-1]
    if image_type.name != "type":
        return
    given = [value(image_type, name) for name in ("installiso", "installpxe")]
    if all(text in ("", "false", "0") for text in given):
        message = '`<installmedia>` needs installiso="true" or installpxe="true" at its `<type>`'
        yield fault(node, None, "KL0702", message, "without these there is no installation medium")


def _partition(node: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    name = node.get("name")
    if name == "":
        yield fault(node, "name", "KL0418", "a partition needs a name", "such as home")
    if name in RESERVED_PARTITIONS:
        message = f"the partition name `{name}` is reserved"
        hint = "it names a partition that is made by itself; choose another"
        yield fault(node, "name", "KL0404", message, hint)
    if lacks_attribute(node, "size") and value(node, "filesystem") not in (None, "squashfs"):
        message = "`<partition>` needs the attribute `size`"
        yield fault(node, None, "KL0103", message, "only a squashfs knows its own size")


def _size(node: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    whole, free = number(node.text), number(node.get("unpartitioned"))
    if whole is not None and free is not None and free > whole:
        message = "more space is to stay unpartitioned than the disk has"
        yield fault(node, "unpartitioned", "KL0405", message, f"the disk has {whole}")


def _volume(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    if "quota" not in node.attributes or len(around) < 2:
        return
    if around[-1].name == "systemdisk" and around[-2].name == "type":
        filesystem = value(around[-2], "filesystem")
        if filesystem in (None, "btrfs"):
            return
    message = '`quota` of `<volume>` needs `filesystem="btrfs"` at its `<type>`'
    yield fault(node, "quota", "KL0702", message, "remove `quota`: only btrfs has quotas")


def _securelinux(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    loader = around[-1]
    if loader.name == "bootloader" and value(loader, "name") not in (None, "", "zipl"):
        message = '`<securelinux>` needs `<bootloader name="zipl">`'
        yield fault(node, None, "KL0702", message, "Secure Execution is a feature of s390x")


TYPE_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "type": (_images, _mandatory, _btrfs, _squashfs_level, _format),
    "bootloader": (_images,),
    "containerconfig": (_images, _container),
    "luksformat": (_luksformat,),
    "installmedia": (_installmedia,),
    "partition": (_partition,),
    "size": (_size,),
    "volume": (_volume,),
    "securelinux": (_securelinux,),
}
"""The rules by the element they are about."""
