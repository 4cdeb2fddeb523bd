"""The package that says who makes the initrd: kernels depend on a tool that does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INITRD_PACKAGE: Final = "kiwilite-initrd"
INITRD_CONTROL: Final[Mapping[str, str]] = {
    "Package": INITRD_PACKAGE,
    "Version": "1",
    "Architecture": "all",
    "Maintainer": "kiwilite <root@localhost>",
    "Provides": "linux-initramfs-tool",
    "Section": "kernel",
    "Priority": "optional",
    "Description": "says that kiwilite makes the initrd of this image",
}
"""Its paragraph in dpkg's files."""
