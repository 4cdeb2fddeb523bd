"""Which values are secrets, and what stands in their place where a description is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.tree import Node

PLACEHOLDER: Final = "secret-not-shown"

_IN_ADDRESS = re.compile(r"(?<=://)([^/@:]*):[^/@]+@")
"""User and password in an address."""


def without_secret(node: Node, attribute: str, value: str) -> str | None:
    """The value of `attribute` as it may be shown, None where all of it is secret."""
    match node.name, attribute:
        case ("type", "luks"):
            is_reference = value in ("", "random") or value.startswith("file://")
            return value if is_reference else None
        case ("user", "password"):
            return None if node.get("pwdformat") == "plain" else value
        case ("repository", "password"):
            return None
        case ("source", "path"):
            return _IN_ADDRESS.sub(rf"\1:{PLACEHOLDER}@", value)
    return value


def check_placeholders(root: Node) -> Iterator[Diagnostic]:
    """What an earlier print of a description left in place of a secret."""
    for node in root.walk():
        for name, value in node.attributes.items():
            if PLACEHOLDER in value:
                message = f"`{PLACEHOLDER}` stands where kiwilite printed no secret"
                hint = "put the secret there, or better a reference to it"
                yield Diagnostic(node.attribute_span(name), "warning", "KL0210", message, hint)
