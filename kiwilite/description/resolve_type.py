"""`<type>` and what stands in it, as the model has it; sizes in bytes."""

from __future__ import annotations

from kiwilite.description.model import (
    Bootloader,
    ImageType,
    Luks,
    Overlay,
    PartitionElement,
    Size,
)
from kiwilite.description.tree import Node
from kiwilite.description.values import MIB, boolean, integer, mebibytes, number, size_bytes

DEFAULT_FIRMWARE = "bios"
"""What KIWI means by a `<type>` without firmware."""


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
        squashfscompression=node.get("squashfscompression") or "zstd",
        squashfscompression_level=integer(node, "squashfscompression_level"),
        overlay=_overlay(node) if boolean(node, "overlayroot") else None,
        partitions=tuple(
            _partition(partition)
            for section in node.all("partitions")
            for partition in section.all("partition")
        ),
        size=_size(node.first("size")),
        bootloader=_bootloader(node.first("bootloader")),
        target_blocksize=integer(node, "target_blocksize") or 512,
        on_failure=node.get("on_failure") or "reboot",
        span=node.span,
    )


def firmware(node: Node) -> str:
    """`firmware=`, where "efi" is written "uefi"."""
    value = node.get("firmware") or DEFAULT_FIRMWARE
    return "uefi" if value == "efi" else value


def _overlay(node: Node) -> Overlay:
    return Overlay(
        write_partition=boolean(node, "overlayroot_write_partition", default=True),
        filesystem=node.get("filesystem") or "",
        verity_blocks=node.get("verity_blocks") or None,
        embed_verity_metadata=boolean(node, "embed_verity_metadata"),
        luks=_luks(node) if node.get("luks") is not None else None,
        span=node.attribute_span("overlayroot"),
    )


def _luks(node: Node) -> Luks:
    section = node.first("luksformat")
    written = section.all("option") if section else ()
    options = [(option.get("name") or "", option.get("value") or "") for option in written]
    pbkdf = node.get("luks_pbkdf")
    if pbkdf is not None and "--pbkdf" not in dict(options):
        options.append(("--pbkdf", pbkdf))
    version = node.get("luks_version") or "luks"
    return Luks(
        passphrase=node.attributes["luks"],
        version="luks2" if version == "luks" else version,
        options=tuple(options),
        unlock=node.get("luks_unlock") or "embedded",
        provisioning=node.get("provisioning") or "firstboot",
        span=node.attribute_span("luks"),
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
    )


def _size(node: Node | None) -> Size | None:
    if node is None:
        return None
    unit = 1024 * MIB if node.get("unit") == "G" else MIB
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
