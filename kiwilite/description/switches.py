"""`boot_switches`: what a kernel command line may ask of the boot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.tree import Node

SWITCHES: Final = (
    "rd.root.overlay.temporary",
    "rd.root.overlay.readonly",
    "kiwilite.factory-reset",
)
"""Words that stand on the kernel command line for themselves. Those that name a device
(`root=overlay:…`) need no permission: the policy names the devices.
"""


def check_switches(image_type: Node) -> Iterator[Diagnostic]:
    """Switches that the boot does not know."""
    span = image_type.attribute_span("boot_switches")
    for name in (image_type.get("boot_switches") or "").split():
        if name not in SWITCHES:
            hint = suggest.hint(name, SWITCHES) or suggest.legal("it knows", SWITCHES)
            message = f"the boot knows no switch `{name}`"
            yield Diagnostic(span, "error", "KL0420", message, hint)
