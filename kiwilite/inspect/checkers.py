"""File systems by their own checkers, on sparse copies: nothing is ever written to the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kiwilite.inspect.findings import Finding, Place, error, warning
from kiwilite.inspect.tools import run

_LINES: Final = 3
_DIRTY_LOG: Final = "valuable metadata changes in a log"
_IDLE_TALK: Final = (
    "Cannot get host filesystem geometry", "Repair may fail if there is",
    "the image and the host filesystem", "No modify flag set",
)  # fmt: skip
"""What xfs_repair says of any file that does not lie on an XFS, and with `-n` of every one."""


def _said(text: str, leave_out: Sequence[str] = ()) -> str:
    """The first lines that tell something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(tuple(leave_out))]
    return "; ".join(told[:_LINES])


def check_ext4(copy: Path, place: Place) -> list[Finding]:
    """`e2fsck -fn`, after what is in the journal was replayed in the copy."""
    run("e2fsck", "-p", "-E", "journal_only", copy)
    status, text = run("e2fsck", "-f", "-n", copy)
    if status == 0:
        return []
    what = f"e2fsck: {_said(text, ('e2fsck ', 'Pass '))}"
    return [error(place, what, "e2fsck -f repairs what can be repaired")]


def check_xfs(copy: Path, place: Place) -> list[Finding]:
    """`xfs_repair -n`, which tells of a log that a mount would replay, and cannot replay it.

    What else it complains of then may be what the log mends.
    """
    status, text = run("xfs_repair", "-n", "-f", copy)
    if _DIRTY_LOG in " ".join(text.split()):
        what = "the XFS was not unmounted: its log must be replayed before it can be checked"
        return [warning(place, what, "a mount replays it")]
    if status == 0:
        return []
    what = f"xfs_repair: {_said(text, ('Phase ', '- ', *_IDLE_TALK))}"
    return [error(place, what, "xfs_repair repairs what can be repaired")]


def check_squashfs(copy: Path, offset: int, place: Place) -> list[Finding]:
    """`unsquashfs` lists it all: superblock, inodes, directories. `offset` bytes into the file."""
    status, text = run("unsquashfs", "-o", str(offset), "-lls", copy)
    if status == 0:
        return []
    lines = [line for line in text.splitlines() if "squashfs-root" not in line]
    return [error(place, f"unsquashfs: {_said(chr(10).join(lines))}", "build the image anew")]
