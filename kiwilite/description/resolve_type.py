"""`<type>` and what stands in it, as the model has it; sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from kiwilite.description.defaults import DEFAULTS, default_of, value_of
from kiwilite.description.model import (
    Bootloader,
    HybridEntry,
    ImageType,
    Keyslot,
    Luks,
    Overlay,
    PartitionElement,
    Size,
    VeritySettings,
)
from kiwilite.description.tree import Node
from kiwilite.description.values import (
    MIB,
    boolean,
    integer,
    mebibytes,
    number,
    size_bytes,
    truth,
    writes_to_partition,
)

DEFAULT_FIRMWARE: Final = DEFAULTS["type"]["firmware"].value
"""What KIWI means by a `<type>` without firmware."""


def _squashfs_level(node: Node) -> int | None:
    name = "squashfscompression_level"
    return number(node.get(name) or default_of(node, name))


def image_type(node: Node) -> ImageType:
    """The image type that `<type>` describes."""
    return ImageType(
        image=node.get("image") or "",
        filesystem=node.get("filesystem"),
        firmware=firmware(node),
        format=node.get("format"),
        kernelcmdline=node.get("kernelcmdline") or "",
        gpt_hybrid_mbr=boolean(node, "gpt_hybrid_mbr"),
        efipartsize=mebibytes(node, "efipartsize"),
        squashfscompression=value_of(node, "squashfscompression"),
        squashfscompression_level=_squashfs_level(node),
        overlay=_overlay(node) if truth(value_of(node, "overlayroot")) else None,
        partitions=tuple(
            _partition(partition)
            for section in node.all("partitions")
            for partition in section.all("partition")
        ),
        size=_size(node.first("size")),
        bootloader=_bootloader(node.first("bootloader")),
        target_blocksize=number(value_of(node, "target_blocksize")) or 0,
        on_failure=value_of(node, "on_failure"),
        span=node.span,
        bios=truth(value_of(node, "eficsm")),
        dps_types=boolean(node, "apply_dps_codes"),
        initrd_system="dracut" if value_of(node, "initrd_system") == "dracut" else "kiwilite",
        grow=_grow(node),
        hybrid=tuple(_hybrid_entries(node)),
        boot_switches=tuple((node.get("boot_switches") or "").split()),
    )


def _grow(node: Node) -> Literal["never", "always", "once"]:
    """`oem-resize`, which is on unless it is switched off, and `oem-resize-once`."""
    wishes = {
        wish.name: truth(wish.text)
        for section in node.all("oemconfig")
        for wish in section.all("oem-resize", "oem-resize-once")
    }
    if not writes_to_partition(node) or not wishes.get("oem-resize", True):
        return "never"
    return "once" if wishes.get("oem-resize-once") else "always"


def _hybrid_entries(node: Node) -> Iterator[HybridEntry]:
    for section in node.all("hybridmbr"):
        for entry in section.all("entry"):
            written = entry.get("type")
            yield HybridEntry(
                partition=entry.get("partition") or "",
                type=None if written is None else int(written, 16),
                active=boolean(entry, "active"),
                span=entry.span,
            )


def firmware(node: Node) -> str:
    """`firmware=`, where "efi" is written "uefi"."""
    value = value_of(node, "firmware")
    return "uefi" if value == "efi" else value


def _overlay(node: Node) -> Overlay:
    return Overlay(
        write_partition=truth(value_of(node, "overlayroot_write_partition")),
        filesystem=node.get("filesystem") or "",
        verity_blocks=node.get("verity_blocks") or None,
        embed_verity_metadata=boolean(node, "embed_verity_metadata"),
        luks=_luks(node) if node.get("luks") is not None else None,
        verity=_verity(node),
        trees=tuple(
            tree.get("path") or ""
            for section in node.all("overlay")
            for tree in section.all("tree")
        ),
        span=node.attribute_span("overlayroot"),
        verity_blocks_span=node.attribute_span("verity_blocks"),
    )


def _verity(node: Node) -> VeritySettings:
    section = node.first("verity")
    if section is None:
        return VeritySettings(node.attribute_span("verity_blocks"))
    return VeritySettings(
        span=section.span,
        algorithm=value_of(section, "algorithm"),
        salt=section.get("salt"),
        data_block_size=number(value_of(section, "data_block_size")) or 0,
        hash_block_size=number(value_of(section, "hash_block_size")) or 0,
        hash_tree="partition" if value_of(section, "hash_tree") == "partition" else "appended",
        fec_roots=integer(section, "fec_roots"),
        on_corruption=_on_corruption(value_of(section, "on_corruption")),
        metadata_key=section.get("metadata_key"),
    )


def _on_corruption(written: str) -> Literal["eio", "restart", "panic"]:
    return "restart" if written == "restart" else "panic" if written == "panic" else "eio"


def _luks(node: Node) -> Luks:
    section = node.first("luksformat")
    written = section.all("option") if section else ()
    options = [(option.get("name") or "", option.get("value") or "") for option in written]
    pbkdf = node.get("luks_pbkdf")
    if pbkdf is not None and "--pbkdf" not in dict(options):
        options.append(("--pbkdf", pbkdf))
    version = value_of(node, "luks_version")
    return Luks(
        passphrase=node.attributes["luks"],
        version="luks2" if version == "luks" else version,
        options=tuple(options),
        unlock=value_of(node, "luks_unlock"),
        provisioning=value_of(node, "provisioning"),
        span=node.attribute_span("luks"),
        fill="full" if value_of(node, "luks_fill") == "full" else "sparse",
        journal="deferred" if value_of(node, "luks_journal") == "deferred" else "written",
        keyslots=tuple(_keyslot(k) for k in (section.all("keyslot") if section else ())),
    )


def _keyslot(node: Node) -> Keyslot:
    return Keyslot(
        name=node.get("name") or "",
        key=node.get("key") or "",
        pbkdf="pbkdf2" if value_of(node, "pbkdf") == "pbkdf2" else "argon2id",
        span=node.span,
    )


def _partition(node: Node) -> PartitionElement:
    return PartitionElement(
        name=node.get("name") or "",
        size=size_bytes(node.get("size") or "") or 0,
        filesystem=node.get("filesystem"),
        mountpoint=node.get("mountpoint"),
        label=node.get("label"),
        partition_type=node.get("partition_type"),
        span=node.span,
        partition_name=node.get("partition_name"),
        encrypted=boolean(node, "encrypted"),
        reset=boolean(node, "reset"),
        mountoptions=node.get("mountoptions"),
    )


def _size(node: Node | None) -> Size | None:
    if node is None:
        return None
    unit = 1024 * MIB if value_of(node, "unit") == "G" else MIB
    return Size(
        bytes=(number(node.text) or 0) * unit,
        additive=boolean(node, "additive"),
        unpartitioned=(integer(node, "unpartitioned") or 0) * unit,
        span=node.span,
    )


def _bootloader(node: Node | None) -> Bootloader | None:
    if node is None:
        return None
    return Bootloader(node.get("name") or "", integer(node, "timeout"), node.span)
