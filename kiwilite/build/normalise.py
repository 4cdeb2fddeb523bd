"""What builds leave in a tree that differs from run to run, and what becomes of it.

One list. What is listed as removed is made again on the device or not needed there;
what is listed as emptied must exist.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

REMOVED = (
    "boot/initrd.img-*",  # by a hook of the distribution's; the image's own is in the UKI
    "etc/.pwd.lock",
    "etc/ssh/ssh_host_*",
    "etc/ssl/private/ssl-cert-snakeoil.key",
    "etc/ssl/certs/ssl-cert-snakeoil.pem",
    "etc/passwd-",
    "etc/shadow-",
    "etc/group-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "var/lib/systemd/random-seed",
    "var/lib/systemd/catalog/database",
    "var/lib/dbus/machine-id",
    "var/lib/dpkg/*-old",
    "var/lib/dpkg/lock*",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/apt/lists/*",
    "var/lib/apt/extended_states.*",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*",
    "var/cache/debconf/*-old",
    "var/cache/fontconfig/*",
    "var/cache/ldconfig/aux-cache",
    "var/cache/man/*",
    "var/log/apt/*",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
    "var/log/fontconfig.log",
    "var/log/*/*.log",
    "var/backups/*",
    "var/tmp/*",
    "tmp/*",
    "tmp/.*",
    "run/*",
    "dev/*",
    "root/.bash_history",
    "root/.cache",
)
EMPTIED = ("etc/machine-id", "var/log/lastlog", "var/log/faillog", "var/log/btmp", "var/log/wtmp")
BYTECODE = ("__pycache__",)


def normalise(tree: Path, *, epoch: int) -> None:
    """Bring `tree` to the form every build ends in."""
    for pattern in REMOVED:
        for path in sorted(tree.glob(pattern)):
            if path.parent.resolve().is_relative_to(tree.resolve()):
                _remove(path)
    for name in EMPTIED:
        path = tree / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size:
            os.truncate(path, 0)
    machine_id = tree / "etc/machine-id"
    if machine_id.parent.is_dir() and not os.path.lexists(machine_id):
        machine_id.touch()
        machine_id.chmod(0o444)
    drop_bytecode(tree)
    _sort_extended_states(tree / "var/lib/apt/extended_states")
    _pin_password_age(tree / "etc/shadow", epoch // 86400)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def drop_bytecode(tree: Path) -> None:
    """Remove what Python keeps of modules it has read: it has times in it, and is made again."""
    for base, folders, _ in os.walk(tree / "usr"):
        for name in [f for f in folders if f in BYTECODE]:
            shutil.rmtree(Path(base) / name)
            folders.remove(name)


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    """Replace a file's text in place, where it changes: owner, mode and links stay."""
    if path.is_file() and not path.is_symlink():
        text = path.read_text()
        if (changed := change(text)) != text:
            path.write_text(changed)


def _sort_extended_states(path: Path) -> None:
    """apt keeps the order in which packages came; which are marked automatic is what counts."""

    def sort(text: str) -> str:
        stanzas = sorted(s.strip() for s in text.split("\n\n") if s.strip())
        return "\n\n".join(stanzas) + "\n\n" if stanzas else ""

    _rewrite(path, sort)


def _pin_password_age(path: Path, day: int) -> None:
    """Third field of shadow(5): day of the last change; tools write the day of the build."""

    def pin(text: str) -> str:
        rows = [line.split(":") for line in text.splitlines()]
        for row in rows:
            if len(row) > 2 and row[2].isdigit() and int(row[2]) > day:
                row[2] = str(day)
        return "".join(f"{':'.join(row)}\n" for row in rows)

    _rewrite(path, pin)


FOREIGN_XATTRS = "security.selinux", "security.ima", "security.evm", "security.apparmor"
"""Attributes that the build host's kernel may hang on files; they are not the image's."""


def foreign_xattrs(tree: Path) -> Iterator[Path]:
    """Files that carry attributes of the host and not of the image."""
    for base, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = Path(base) / name
            if set(os.listxattr(path, follow_symlinks=False)) & set(FOREIGN_XATTRS):
                yield path
