"""`<verity>`, and the metadata block that KIWI's readers look for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.luks import check_key_file
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean, integer

DEFAULT_BLOCK = 4096
"""Bytes of a block where `<verity>` does not say."""

_BLOCK_SIZES = ("data_block_size", "hash_block_size")


def check_verity(image_type: Node, directory: Path) -> Iterator[Diagnostic]:
    """Settings that dm-verity, its tools or its readers refuse."""
    verity = image_type.first("verity")
    embedded = boolean(image_type, "embed_verity_metadata")
    yield from _metadata(image_type, verity, embedded)
    if integer(image_type, "verity_blocks") == 0:
        message = "dm-verity covers one block at least"
        yield fault(image_type, "verity_blocks", "KL0412", message, 'write verity_blocks="all"')
    if verity is None:
        return
    if not boolean(image_type, "overlayroot"):
        message = '`<verity>` needs `overlayroot="true"` at its `<type>`'
        yield fault(verity, None, "KL0702", message)
    yield from check_key_file(verity, "metadata_key", directory)
    yield from _blocks(image_type, verity)


def _metadata(image_type: Node, verity: Node | None, embedded: bool) -> Iterator[Diagnostic]:
    """The metadata block, and the key that signs it."""
    signed = verity is not None and "metadata_key" in verity.attributes
    if embedded and not signed:
        message = "the metadata block has no signature, so it tells nobody who made it"
        hint = 'add <verity metadata_key="file://PATH"/> with an RSA private key in PEM'
        span = image_type.attribute_span("embed_verity_metadata")
        yield Diagnostic(span, "warning", "KL0702", message, hint)
    if verity is not None and signed and not embedded:
        message = '`metadata_key` needs `embed_verity_metadata="true"` at its `<type>`'
        yield fault(verity, "metadata_key", "KL0702", message)


def _blocks(image_type: Node, verity: Node) -> Iterator[Diagnostic]:
    least = integer(image_type, "target_blocksize") or 512
    sizes = [integer(verity, name) or DEFAULT_BLOCK for name in _BLOCK_SIZES]
    for name, size in zip(_BLOCK_SIZES, sizes, strict=True):
        if size < least:
            message = f"blocks of {size} bytes are smaller than the disk's sectors of {least}"
            yield fault(verity, name, "KL0412", message)
    if "fec_roots" in verity.attributes and sizes[0] != sizes[1]:
        message = "forward error correction needs data and hash blocks of the same size"
        name = next(name for name in _BLOCK_SIZES if name in verity.attributes)
        yield fault(verity, name, "KL0412", message)
