"""Which entries of a store a run of kiwilite holds, so that nobody removes them meanwhile.

A build holds a shared lock on the folder of each entry of its plan, from the moment it
knows their keys until its process ends, however that comes about; what removes entries
takes the lock alone and without waiting. To hold an entry is to use it: its folder's time
becomes now, and least recently used is what the oldest time says.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kiwilite.build.manifest import Depth


@dataclass(slots=True)
class Uses:
    """Folders held, and what was found sound while they are; for one store."""

    _held: dict[Path, int] = field(default_factory=dict)
    _sound: dict[Path, Depth] = field(default_factory=dict)

    def hold(self, entries: Iterable[Path]) -> None:
        """Hold those entries that are there."""
        for entry in entries:
            before = self._held.get(entry)
            if before is not None:
                if stands_at(entry, before):
                    continue
                self.let_go(entry)  # another run found it damaged, and made it again
            fd = _shared(entry)
            if fd is not None:
                os.utime(fd)
                self._held[entry] = fd

    def trust(self, entry: Path, depth: Depth = "whole") -> None:
        """Note that an entry was made by this run, or is as it was made."""
        if self._sound.get(entry) != "whole":
            self._sound[entry] = depth

    def trusts(self, entry: Path, depth: Depth) -> bool:
        """Whether an entry need not be examined once more."""
        return self._sound.get(entry) in (depth, "whole")

    def let_go(self, entry: Path) -> bool:
        """Hold an entry no more; whether the one that was held still stands at its place."""
        self._sound.pop(entry, None)
        fd = self._held.pop(entry, None)
        if fd is None:
            return False
        try:
            return stands_at(entry, fd)
        finally:
            os.close(fd)

    def release(self) -> None:
        """Let go of all of them; the end of the process does the same."""
        while self._held:
            os.close(self._held.popitem()[1])
        self._sound.clear()


def _shared(entry: Path) -> int | None:
    """A descriptor with the shared lock on a folder that stands at its place; None: it is gone."""
    while True:
        try:
            fd = os.open(entry, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return None
        fcntl.flock(fd, fcntl.LOCK_SH)  # who has it alone, has it for the time of a rename
        if stands_at(entry, fd):
            return fd
        os.close(fd)


def stands_at(path: Path, fd: int) -> bool:
    """Whether what is open as `fd` is still what has this name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except OSError:
        return False


@contextlib.contextmanager
def shared(entries: Sequence[Path]) -> Iterator[Callable[[Path], bool]]:
    """Hold entries for a while without using them.

    Gives a function that tells whether an entry was held and still stands at its place.
    """
    held = {entry: fd for entry in entries if (fd := _shared(entry)) is not None}
    try:
        yield lambda entry: entry in held and stands_at(entry, held[entry])
    finally:
        for fd in held.values():
            os.close(fd)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether nobody uses a folder (or file), and nobody will while this lasts.

    False as well where it is not at its place any more.
    """
    try:
        fd = os.open(folder, os.O_RDONLY)
    except OSError:
        yield False
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = stands_at(folder, fd)
    except BlockingIOError:
        free = False
    try:
        yield free
    finally:
        os.close(fd)
