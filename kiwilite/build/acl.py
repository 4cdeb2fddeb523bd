"""POSIX ACLs of a tree, as lines for systemd-tmpfiles.

squashfs has no room for ACLs and mkfs.xfs fills no extended attributes in, so what the
tree has is written down and set again at every boot, into the overlay or the partition.

Format of the attributes: <linux/posix_acl_xattr.h>, all little-endian: version u32 = 2,
then per entry tag u16, permissions u16, id u32.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path

TMPFILES = "usr/lib/tmpfiles.d/kiwilite-acl.conf"

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"

_TAGS = {0x01: "u", 0x02: "u", 0x04: "g", 0x08: "g", 0x10: "m", 0x20: "o"}
_NAMED = (0x02, 0x08)


def acl_text(raw: bytes) -> str:
    """An ACL attribute in acl(5)'s short text form, ids as numbers."""
    rows = []
    for tag, permissions, number in struct.iter_unpack("<HHI", raw[4:]):
        who = str(number) if tag in _NAMED else ""
        bits = "".join(c if permissions & b else "-" for c, b in (("r", 4), ("w", 2), ("x", 1)))
        rows.append(f"{_TAGS[tag]}:{who}:{bits}")
    return ",".join(rows)


def _escaped(path: str) -> str:
    return "".join(f"\\x{ord(c):02x}" if c.isspace() or c in "\"'\\" else c for c in path).replace(
        "%", "%%"
    )


def tmpfiles_lines(tree: Path) -> Iterator[str]:
    """One `a` line for every file and folder of `tree` that has an ACL, in order of path."""
    pending = [str(tree)]
    while pending:
        with os.scandir(pending.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if not entry.is_symlink() and (texts := _texts(entry.path)):
                inside = _escaped(entry.path.removeprefix(str(tree)))
                yield f"a {inside} - - - - {','.join(texts)}"
        folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        pending += reversed(folders)


def _texts(path: str) -> list[str]:
    """The ACLs of one file or folder; a link has none."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return []
        raise
    if not names:
        return []
    found = {
        n: os.getxattr(path, n, follow_symlinks=False) for n in (ACCESS, DEFAULT) if n in names
    }
    access = [acl_text(found[ACCESS])] if ACCESS in found else []
    default = acl_text(found[DEFAULT]).split(",") if DEFAULT in found else []
    return [*access, *(f"d:{row}" for row in default)]


def write_down(tree: Path) -> None:
    """Put the tree's ACLs into a tmpfiles configuration, where it has any."""
    lines = list(tmpfiles_lines(tree))
    if lines:
        target = tree / TMPFILES
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"{line}\n" for line in lines))
        target.chmod(0o644)
