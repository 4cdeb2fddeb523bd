"""Files beside a description that KIWI makes something of: those kiwilite does not."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.description.support_conditions import Status


@dataclass(frozen=True, slots=True)
class Hook:
    """A file that is not made use of, by a glob pattern; `what` KIWI does with it.

    A warning where a disk image would be the same in KIWI.
    """

    pattern: str
    status: Status
    severity: Literal["error", "warning"]
    what: str
    instead: str


_CONTAINER: Final = "KIWI runs it for containers that are a difference to another one"

HOOKS: Final = (
    Hook(
        "disk.sh",
        "not run",
        "error",
        "KIWI runs it in the mounted disk",
        "no disk is mounted during a build; do it in pre_disk_sync.sh, or in config.sh",
    ),
    Hook(
        "config-overlay.sh",
        "not run",
        "warning",
        _CONTAINER,
        "move what a disk image needs of it to config.sh",
    ),
    Hook(
        "config-host-overlay.sh",
        "not run",
        "warning",
        _CONTAINER,
        "move what a disk image needs of it to config.sh; nothing is run on the build host",
    ),
    Hook(
        "root.tar*",
        "not built",
        "error",
        "KIWI unpacks it over the tree",
        "unpack it into root/, or name it: `<archive name=…/>` in `<packages>`",
    ),
    Hook(
        "config-cdroot.tar*",
        "not built",
        "warning",
        "KIWI puts its content onto installation media",
        "leave it out: there are none; what the image needs goes to root/",
    ),
)
"""In the description's folder."""

TREE_HOOKS: Final = (
    Hook(
        "etc/fstab.patch",
        "not built",
        "error",
        "KIWI applies it to /etc/fstab, and takes it away",
        "write whole lines to etc/fstab.append, or change /etc/fstab in pre_disk_sync.sh",
    ),
    Hook(
        "etc/fstab.script",
        "not run",
        "error",
        "KIWI runs it after /etc/fstab was written, and takes it away",
        "do it in pre_disk_sync.sh",
    ),
)
"""In the overlay trees."""

_WORDS: Final[dict[Status, tuple[str, str]]] = {
    "not built": ("KL0901", "kiwilite makes nothing of it"),
    "not run": ("KL0903", "kiwilite does not run it"),
}


def check_hooks(place: Span, trees: tuple[Path, ...]) -> Iterator[Diagnostic]:
    """The hooks beside the description (whose `<image>` is at `place`) and in its overlay trees."""
    directory = place.file.parent
    for hook in HOOKS:
        for path in sorted(directory.glob(hook.pattern)):
            yield _report(hook, path.name, place)
    for tree in trees:
        for hook in TREE_HOOKS:
            if os.path.lexists(tree / hook.pattern):
                yield _report(hook, f"{tree.name}/{hook.pattern}", place)


_KIWI_MODULE: Final = re.compile(rb"\bkiwi-(dump|dump-reboot|lib|live|overlay|repart|verity)\b")
_LOOKED_AT: Final = 64 * 1024


def check_dracut(configuration: tuple[Path, ...]) -> Iterator[Diagnostic]:
    """KIWI's dracut modules, asked for by the folders with files for dracut.conf.d."""
    for file in (file for folder in configuration for file in sorted(folder.glob("*.conf"))):
        if not file.is_file():
            continue
        with file.open("rb") as stream:
            text = stream.read(_LOOKED_AT)
        for found in _KIWI_MODULE.finditer(text):
            at = found.start()
            place = Span(file, text.count(b"\n", 0, at) + 1, at - text.rfind(b"\n", 0, at))
            message = f"{found[0].decode()} is a dracut module of KIWI's, and not in the image"
            hint = "leave it out: kiwilite adds its own module"
            yield Diagnostic(place, "warning", "KL0908", message, hint)


def _report(hook: Hook, name: str, place: Span) -> Diagnostic:
    code, words = _WORDS[hook.status]
    message = f"{name} stands beside the description, but {words}; {hook.what}"
    return Diagnostic(place, hook.severity, code, message, hook.instead)
