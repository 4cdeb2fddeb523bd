"""What an older schemaversion had, and the current one has not: said, not dropped in silence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.tree import Node

_DROPPED: Final = {
    ("type", "vga"): ("8.5", "write vga=… into kernelcmdline, if the kernel is to have it"),
    ("repository", "use_for_bootstrap"): ("8.2", "leave it out: all repositories count at once"),
}
"""The schemaversion since which an attribute is gone, and what to do instead."""


def check_dropped(before: Node, after: Node) -> Iterator[Diagnostic]:
    """Attributes of `before` that bringing it up to date, to `after`, has left out."""
    if before is after:
        return
    for old, new in zip(before.walk(), after.walk(), strict=True):
        for (element, name), (version, instead) in _DROPPED.items():
            if old.name == element and name in old.attributes and name not in new.attributes:
                shown = f'`{name}="{old.attributes[name]}"`'
                message = f"{shown} has no meaning since schemaversion {version}"
                place = old.attribute_span(name)
                yield Diagnostic(place, "warning", "KL0907", message, instead)
        if old.get("type") == "rpm-dir" and new.get("type") is None:
            message = '`type="rpm-dir"` has no meaning since schemaversion 8.1'
            place = old.attribute_span("type")
            hint = "write apt-deb or deb-dir: packages are Debian's"
            yield Diagnostic(place, "warning", "KL0907", message, hint)
