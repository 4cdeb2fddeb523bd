"""Files replaced as a whole: whoever looks finds the old content or the new."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from kiwilite.errors import KiwiliteError, NoSpace


def save(contents: Mapping[Path, bytes]) -> None:
    """Write each file anew, none before all are written out beside their old selves.

    Mode and, where this user may, owner stay; a link stays one and its target is
    written. What is no regular file (a terminal, a pipe) is written to. Raises
    KiwiliteError naming the file.
    """
    ready: list[tuple[Path, Path]] = []
    try:
        for path, content in contents.items():
            with _failures_named(path):
                target = path.resolve()
                if target.exists() and not target.is_file():
                    target.write_bytes(content)
                else:
                    ready.append((_written_beside(target, content), target))
        for scratch, target in ready:
            with _failures_named(target):
                scratch.replace(target)
    finally:
        for scratch, _ in ready:
            scratch.unlink(missing_ok=True)


@contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    """Turns a failure of the file system into an error that names `path`."""
    try:
        yield
    except RuntimeError as error:  # links that lead to each other
        raise KiwiliteError(
            "the file cannot be written: a loop of links", where=str(path)
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace("no space left on this disk", where=str(path)) from error
        reason = (error.strerror or str(error)).lower()
        raise KiwiliteError(f"the file cannot be written: {reason}", where=str(path)) from error


def _written_beside(target: Path, content: bytes) -> Path:
    """A new file in the folder of `target`, with its mode, that holds `content`."""
    descriptor, name = tempfile.mkstemp(prefix=".kiwilite-", dir=target.parent)
    scratch = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _like(target, descriptor)
            stream.write(content)
            stream.flush()
            os.fsync(descriptor)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    return scratch


def _like(target: Path, descriptor: int) -> None:
    """Owner and mode of `target`, or those of a new file where there is none."""
    try:
        old = target.stat()
    except FileNotFoundError:
        mask = os.umask(0o022)
        os.umask(mask)
        os.fchmod(descriptor, 0o666 & ~mask)
        return
    with suppress(PermissionError):  # only root may give files away
        os.fchown(descriptor, old.st_uid, old.st_gid)
    os.fchmod(descriptor, old.st_mode & 0o7777)
