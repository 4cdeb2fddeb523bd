"""What kiwilite means where a description says nothing: the attributes that then have a value.

The model is resolved with this table and `description show` prints from it. A flag that
is off unless it is written, and an attribute whose absence means "none", have no row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kiwilite.description.tree import Node
from kiwilite.description.values import boolean

SOURCE_DATE_EPOCH: Final = 1735689600
"""2025-01-01: clamps time stamps where the description and the environment say nothing."""

PACKAGE_MANAGER: Final = "apt"


@dataclass(frozen=True, slots=True)
class Default:
    """The value of a missing attribute, of elements for which `where` is true."""

    value: str
    where: Callable[[Node], bool] = lambda _: True


def _overlay(node: Node) -> bool:
    return boolean(node, "overlayroot")


def _encrypted(node: Node) -> bool:
    return _overlay(node) and "luks" in node.attributes


def _encrypted_at_build(node: Node) -> bool:
    return _encrypted(node) and node.get("provisioning") == "build"


def _zstd(node: Node) -> bool:
    return (node.get("squashfscompression") or "zstd") == "zstd"


DEFAULTS: Final[Mapping[str, Mapping[str, Default]]] = {
    "preferences": {"source_date_epoch": Default(str(SOURCE_DATE_EPOCH))},
    "type": {
        "firmware": Default("bios"),
        "eficsm": Default("false"),
        "target_blocksize": Default("512"),
        "initrd_system": Default("kiwi"),
        "on_failure": Default("reboot"),
        "overlayroot": Default("false"),
        "overlayroot_write_partition": Default("true", _overlay),
        "squashfscompression": Default("zstd"),
        "squashfscompression_level": Default("15", _zstd),
        "luks_version": Default("luks2", _encrypted),
        "luks_unlock": Default("embedded", _encrypted),
        "provisioning": Default("firstboot", _encrypted),
        "luks_fill": Default("sparse", _encrypted_at_build),
        "luks_journal": Default("written", _encrypted_at_build),
    },
    "verity": {
        "algorithm": Default("sha256"),
        "data_block_size": Default("4096"),
        "hash_block_size": Default("4096"),
        "hash_tree": Default("appended"),
        "on_corruption": Default("eio"),
    },
    "keyslot": {"pbkdf": Default("argon2id")},
    "size": {"unit": Default("M")},
    "user": {"pwdformat": Default("encrypted")},
    "repository": {
        "type": Default("apt-deb"),
        "components": Default("main", lambda node: bool(node.get("distribution"))),
        "repository_gpgcheck": Default("true"),
    },
    "archive": {"target_dir": Default("/")},
}
"""By element and attribute."""


def value_of(node: Node, attribute: str) -> str:
    """The attribute as written, else its default."""
    return node.get(attribute) or DEFAULTS[node.name][attribute].value


def default_of(node: Node, attribute: str) -> str | None:
    """The value of a missing attribute; None where it has none here."""
    default = DEFAULTS[node.name].get(attribute)
    return default.value if default is not None and default.where(node) else None


def missing(node: Node) -> Iterator[tuple[str, str]]:
    """(name, value) of the attributes that `node` has by default."""
    for name, default in DEFAULTS.get(node.name, {}).items():
        if not node.get(name) and default.where(node):
            yield name, default.value
