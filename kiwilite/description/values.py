"""KIWI's ways of writing values, as Python values. Callers pass what the grammar accepted."""

from __future__ import annotations

import re

from kiwilite.description.tree import Node

MIB = 1024 * 1024
MAX_DIGITS = 15
"""Longer numbers are no size, count or time that means anything."""

_UNITS = {"": MIB, "M": MIB, "G": 1024 * MIB}
_SIZE = re.compile(r"(\d+)([MG]?)")
_GROUP = re.compile(r"([A-Za-z0-9_.-]+)(?::(\d+))?")


def boolean(node: Node, name: str, default: bool = False) -> bool:
    """Attribute `name` as a truth value; "1" is true as well."""
    value = node.get(name)
    return default if value is None else truth(value)


def writes_to_partition(image_type: Node) -> bool:
    """Whether the `<type>` has an overlay that writes to a partition of its own."""
    return boolean(image_type, "overlayroot") and boolean(
        image_type, "overlayroot_write_partition", default=True
    )


def truth(text: str) -> bool:
    """Whether `text` is one of the two ways to write "true"."""
    return text.strip() in ("true", "1")


def number(text: str | None) -> int | None:
    """The whole number that `text` is, or None; so is None for more than MAX_DIGITS digits."""
    value = (text or "").strip()
    if not re.fullmatch(r"[+-]?[0-9]+", value) or len(value) > MAX_DIGITS:
        return None
    return int(value)


def integer(node: Node, name: str) -> int | None:
    """Attribute `name` as a number, or None where it is missing or not one."""
    return number(node.get(name))


def size_bytes(text: str) -> int | None:
    """Bytes of "10M", "3G" or "512" (MiB), or None if it is none of these."""
    found = _SIZE.fullmatch(text.strip())
    digits = number(found[1]) if found else None
    return None if found is None or digits is None else digits * _UNITS[found[2]]


def mebibytes(node: Node, name: str) -> int | None:
    """Bytes of attribute `name`, which counts MiB, or None where it is missing."""
    number = integer(node, name)
    return None if number is None else number * MIB


def comma_list(text: str | None) -> tuple[str, ...]:
    """The parts of "a,b" without white space and empty parts."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def permissions(text: str) -> int | None:
    """The mode that "0644" or "644" means, or None if it is no octal mode."""
    return int(text, 8) if re.fullmatch(r"0?[0-7]{3,4}", text) else None


def group(text: str) -> tuple[str, int | None] | None:
    """(name, gid or None) of "name" or "name:gid", or None if it is neither."""
    found = _GROUP.fullmatch(text)
    return (found[1], number(found[2])) if found else None
