"""What holds for the whole file beyond its grammar, whatever profiles are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.tree import Node
from kiwilite.description.values import MAX_DIGITS, boolean, number
from kiwilite.description.vocabulary import AttributeForm, ValueType, vocabulary

RESERVED_PARTITIONS: Final = frozenset(
    ("root", "readonly", "boot", "prep", "spare", "swap", "efi_csm", "efi")
)

_NEEDS: Final = (
    ("embed_verity_metadata", "verity_blocks"),
    ("embed_integrity_metadata", "standalone_integrity"),
    ("integrity_legacy_hmac", "standalone_integrity"),
    ("luks_unlock", "luks"),
    ("provisioning", "luks"),
    ("luks_fill", "luks"),
    ("luks_journal", "luks"),
)
"""Attributes of `<type>` that mean nothing without another one."""

_BTRFS: Final = (
    "btrfs_quota_groups",
    "btrfs_root_is_snapper_snapshot",
    "btrfs_root_is_subvolume",
    "btrfs_set_default_volume",
    "btrfs_root_is_readonly_snapshot",
)


def check_rules(root: Node) -> Iterator[Diagnostic]:
    """All violations below `root`, which need not be valid."""
    for node in root.walk():
        yield from _too_long_numbers(node)
    for preferences in root.all("preferences"):
        for image_type in preferences.all("type"):
            yield from _type(image_type)
    for section in root.all("packages"):
        yield from _packages(section, root)
    for repository in root.all("repository"):
        if repository.get("architectures") and repository.get("type") not in (None, "apt-deb"):
            yield _needs(repository, "architectures", 'type="apt-deb"')


def _needs(node: Node, attribute: str, what: str) -> Diagnostic:
    message = f"`{attribute}` of `<{node.name}>` needs `{what}`"
    return fault(node, attribute, "KL0702", message)


def _too_long_numbers(node: Node) -> Iterator[Diagnostic]:
    """Numbers that only a mistake can have made so long."""
    number_like = re.compile(rf"\s*[+-]?[0-9]{{{MAX_DIGITS},}}[MG]?\s*")
    form = vocabulary().elements.get(node.name)
    for name, value in node.attributes.items():
        known = form.attributes.get(name) if form else None
        if known and _is_number(known.value) and number_like.fullmatch(value):
            message = f"`{name}` is a number of more than {MAX_DIGITS - 1} digits"
            yield fault(node, name, "KL0106", message)
    if form and form.text and _is_number(form.text) and number_like.fullmatch(node.text):
        message = f"`<{node.name}>` is a number of more than {MAX_DIGITS - 1} digits"
        yield fault(node, None, "KL0106", message)


def _is_number(value: ValueType) -> bool:
    """Whether it has digits because it counts something, and not as a name or in hexadecimal."""
    return not value.allows("ff")


def _type(node: Node) -> Iterator[Diagnostic]:
    image = node.get("image") or ""
    yield from _of_other_images(node, image)
    if bootloader := node.first("bootloader"):
        yield from _of_other_images(bootloader, image)
    yield from _requirements(node, image)
    for name in _BTRFS:
        if name in node.attributes and node.get("filesystem") not in (None, "btrfs"):
            yield _needs(node, name, 'filesystem="btrfs"')
    yield from _storage(node)


def _of_other_images(node: Node, image: str) -> Iterator[Diagnostic]:
    """Attributes that the grammar annotates with other image types."""
    forms = vocabulary().elements[node.name].attributes
    known = (forms[name] for name in node.attributes if name in forms)
    for form in known:
        if image and form.images and image not in form.images:
            yield _of_another(node, form, image)


def _of_another(node: Node, form: AttributeForm, image: str) -> Diagnostic:
    belongs = " or ".join(f'image="{name}"' for name in form.images)
    message = f'`{form.name}` has no meaning for image="{image}"'
    span = node.attribute_span(form.name)
    return Diagnostic(span, "error", "KL0701", message, f"it belongs to {belongs}")


def _requirements(node: Node, image: str) -> Iterator[Diagnostic]:
    for attribute, other in _NEEDS:
        if attribute in node.attributes and other not in node.attributes:
            yield _needs(node, attribute, other)
    if image == "oem" and "filesystem" not in node.attributes:
        message = '`<type image="oem">` needs `filesystem`'
        yield fault(node, None, "KL0702", message)
    if image == "appx" and "metadata_path" not in node.attributes:
        message = '`<type image="appx">` needs `metadata_path`'
        yield fault(node, None, "KL0702", message)
    if (section := node.first("luksformat")) and "luks" not in node.attributes:
        message = "`<luksformat>` needs `luks` at its `<type>`"
        yield fault(section, None, "KL0702", message)
    media = node.first("installmedia")
    if media and not boolean(node, "installiso") and not boolean(node, "installpxe"):
        message = '`<installmedia>` needs installiso="true" or installpxe="true" at its `<type>`'
        yield fault(media, None, "KL0702", message)
    if node.get("format") == "vagrant" and node.first("vagrantconfig") is None:
        message = '`format="vagrant"` needs a `<vagrantconfig>`'
        yield fault(node, "format", "KL0702", message)


def _storage(node: Node) -> Iterator[Diagnostic]:
    for section in node.all("partitions"):
        for partition in section.all("partition"):
            if (name := partition.get("name")) in RESERVED_PARTITIONS:
                message = f"the partition name `{name}` is reserved"
                yield fault(partition, "name", "KL0404", message)
    size = node.first("size")
    if size is None:
        return
    whole, free = number(size.text), number(size.get("unpartitioned"))
    if whole is not None and free is not None and free > whole:
        message = "more space is to stay unpartitioned than the disk has"
        yield fault(size, "unpartitioned", "KL0405", message)


def _packages(section: Node, root: Node) -> Iterator[Diagnostic]:
    if "bootstrap_package" in section.attributes:
        if section.get("type") != "bootstrap":
            yield _needs(section, "bootstrap_package", 'type="bootstrap"')
        managers = {
            m.text.strip() for p in root.all("preferences") for m in p.all("packagemanager")
        }
        legal = vocabulary().elements["packagemanager"].text
        managers = {name for name in managers if legal and legal.allows(name)}
        if managers and "apt" not in managers:
            yield _needs(section, "bootstrap_package", "<packagemanager>apt</packagemanager>")
    elif "bootstrap_digest" in section.attributes:
        message = "`bootstrap_digest` needs the `bootstrap_package` it belongs to"
        yield fault(section, "bootstrap_digest", "KL0504", message)
    for module in section.all("collectionModule"):
        if section.get("type") not in (None, "bootstrap"):
            message = '`<collectionModule>` needs `<packages type="bootstrap">`'
            yield fault(module, None, "KL0702", message)
        if "stream" in module.attributes and not boolean(module, "enable", default=True):
            yield _needs(module, "stream", 'enable="true"')
