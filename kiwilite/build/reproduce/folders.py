"""The folders of a build that is to be compared: copies of a description, order of entries."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from kiwilite.build.publish import RESULT

OTHER_OWNER: Final = 65534
_LONG_AGO: Final = 978307200
"""2001-01-01; copies get time stamps from there on, an odd number of seconds apart."""
_CANDIDATES: Final = ("/dev/shm", "/var/tmp", "/tmp")
_MEMORY_SHARE: Final = 2
"""A file system in memory may take one part in so many of what is available."""


def copy_description(source: Path, target: Path) -> None:
    """Copy a folder, last entries first, with other time stamps, and as root other owners.

    Folders that a build has put images into are left out.
    """
    copies = list(_entries(source, target))
    for path, copy in copies:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            copy.symlink_to(path.readlink())
        elif stat.S_ISDIR(status.st_mode):
            copy.mkdir(parents=True)
        elif stat.S_ISREG(status.st_mode):
            shutil.copyfile(path, copy)
        if not copy.is_symlink():
            copy.chmod(stat.S_IMODE(status.st_mode))
    for number, (_, copy) in enumerate(reversed(copies)):
        moment = _LONG_AGO + 86401 * number
        os.utime(copy, (moment, moment), follow_symlinks=False)
        if os.geteuid() == 0:
            os.lchown(copy, OTHER_OWNER, OTHER_OWNER)


def _entries(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    yield source, target
    for path in sorted(source.iterdir(), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not (path / RESULT).exists():
                yield from _entries(path, target / path.name)
        else:
            yield path, target / path.name


def give(folder: Path, uid: int, gid: int) -> None:
    """Let a user own a folder and all below it."""
    for path in (folder, *folder.rglob("*")):
        os.lchown(path, uid, gid)


def other_file_system(near: Path, room: int) -> Path | None:
    """A folder that lists entries in another order than `near`, with `room` bytes free."""
    for name in _CANDIDATES:
        folder = Path(name)
        with suppress(OSError):
            status = os.statvfs(folder)
            usable = not status.f_flag & os.ST_NOEXEC and os.access(folder, os.W_OK)
            free = min(status.f_bavail * status.f_frsize, _memory_for(folder))
            if usable and free > room and _listed(folder) != _listed(near):
                return folder
    return None


def _memory_for(folder: Path) -> int:
    """Bytes that a file system may take from memory; no limit where it lies on a disk."""
    if os.major(folder.stat().st_dev):
        return 1 << 62
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 // _MEMORY_SHARE
    return 0


def _listed(folder: Path) -> list[str]:
    """In which order some entries come out that were made in one order."""
    probe = folder / f".kiwilite-order-{os.getpid()}"
    probe.mkdir()
    try:
        for number in range(32):
            (probe / f"entry-{number}").touch()
        return os.listdir(probe)  # noqa: PTH208 - the order is what is asked for
    finally:
        shutil.rmtree(probe)


def occupied(folder: Path) -> int:
    """Bytes on disk of all files below a folder that we may look at."""
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += (Path(here) / name).lstat().st_blocks * 512
    return total
