"""Attributes that mean something only beside another attribute of the same element."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.given import lacks_attribute, value
from kiwilite.description.tree import Node


@dataclass(frozen=True, slots=True)
class Need:
    """Attribute `name` needs `other` beside it, or with `values`: one of these, where it stands.

    `severity` is a warning where KIWI accepts it all the same.
    """

    name: str
    other: str
    values: tuple[str, ...] = ()
    severity: Literal["error", "warning"] = "error"


_GRUB: Final = ("grub2", "grub2_s390x_emu")

NEEDS: Final[Mapping[str, tuple[Need, ...]]] = {
    "type": (
        Need("embed_verity_metadata", "verity_blocks"),
        Need("embed_integrity_metadata", "standalone_integrity"),
        Need("integrity_legacy_hmac", "standalone_integrity", severity="warning"),
        Need("luks_unlock", "luks"),
        Need("provisioning", "luks"),
        Need("luks_fill", "luks"),
        Need("luks_journal", "luks"),
    ),
    "bootloader": (
        Need("bls", "name", ("grub2",)),
        Need("output_console", "name", _GRUB),
        Need("input_console", "name", _GRUB),
        Need("serial_line", "name", _GRUB),
        Need("video_mode", "name", _GRUB),
        Need("timeout", "name", (*_GRUB, "systemd_boot", "zipl")),
        Need("timeout_style", "name", _GRUB),
        Need("targettype", "name", (*_GRUB, "zipl")),
    ),
    "repository": (Need("architectures", "type", ("apt-deb",)),),
    "packages": (Need("bootstrap_package", "type", ("bootstrap",)),),
    "vagrantconfig": (
        Need("virtualbox_guest_additions_present", "provider", ("virtualbox",)),
    ),
}  # fmt: skip
"""By element. Where another attribute is mandatory, its absence is the grammar's affair."""


def check_needs(node: Node) -> Iterator[Diagnostic]:
    """The attributes of `node` whose need is not met."""
    for need in NEEDS.get(node.name, ()):
        if need.name in node.attributes and _unmet(node, need):
            values = " or ".join(f'`{need.other}="{text}"`' for text in need.values)
            message = f"`{need.name}` of `<{node.name}>` needs {values or f'`{need.other}`'}"
            hint = f"remove `{need.name}`"
            if not need.values:
                hint = f"add `{need.other}`, or {hint}"
            elif stands := node.get(need.other):
                hint = f'with `{need.other}="{stands}"` {hint}'
            span = node.attribute_span(need.name)
            yield Diagnostic(span, need.severity, "KL0702", message, hint)


def _unmet(node: Node, need: Need) -> bool:
    if not need.values:
        return lacks_attribute(node, need.other)
    return bool(stands := value(node, need.other)) and stands not in need.values
