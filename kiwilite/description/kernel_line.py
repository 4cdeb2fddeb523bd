"""Words of `kernelcmdline` that the boot of a kiwilite image does not read, or refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.switches import SWITCHES
from kiwilite.description.tree import Node

_DEVICE_WORDS: Final = ("root=overlay:", "verityroot=", "rd.root.overlay.write=")
"""KIWI's words for devices: the boot compares them with the policy's."""

MEANINGS: Final = (
    ("usrhash=", "the root is verified as a whole"),
    ("root=", "the image's policy names the root"),
    ("rootfstype=", "the root is a verified squashfs"),
    ("rootflags=", "the root is mounted with fixed options"),
    ("rd.luks", "the image's policy names the volumes, and they are opened without asking"),
    ("rd.kiwi.", "KIWI's initrd reads it, and it is not in the image"),
    ("rd.root.overlay.", "it is not a word that the boot knows"),
    ("rd.systemd.", "there is no systemd in the initrd"),
    ("systemd.verity", "there is no systemd in the initrd"),
)
"""What a word begins with, and why it has no effect."""


def check_kernel_line(image_type: Node) -> Iterator[Diagnostic]:
    """Each word without an effect, at the attribute."""
    dracut = image_type.get("initrd_system") == "dracut"
    for word in dict.fromkeys((image_type.get("kernelcmdline") or "").split()):
        if word in SWITCHES or word.startswith(_DEVICE_WORDS):
            continue
        if word.startswith("roothash="):
            message = "a boot stops where the command line has another `roothash=` than the policy"
            hint = "leave it out: the build knows the root hash, and writes it there"
            yield fault(image_type, "kernelcmdline", "KL0904", message, hint)
            continue
        reason = next((why for start, why in MEANINGS if word.startswith(start)), None)
        if reason is None and word.startswith("rd.") and not dracut:
            reason = "it is for dracut's initrd"
        if reason is not None:
            span = image_type.attribute_span("kernelcmdline")
            shown = word.partition("=")[0] + ("=…" if "=" in word else "")
            message = f"`{shown}` on the kernel command line has no effect: {reason}"
            yield Diagnostic(span, "warning", "KL0904", message, "leave it out")
