"""`appliance.lock` beside a description: found, read, and held against the description."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from kiwilite.build import bootstrap_archive
from kiwilite.build.bootstrap_archive import Prebuilt
from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Site, Watcher
from kiwilite.build.publish import write_whole
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError
from kiwilite.plan.lock import Lock, Locked, differences, selection_name

NAME: Final = "appliance.lock"

RENEW: Final = "--update-lock makes the lock anew"


class LockBroken(KiwiliteError):
    """The lock cannot be read (exit status 1)."""


class LockOutdated(KiwiliteError):
    """The lock is no answer to what the description asks (exit status 1)."""


def lock_path(appliance: Appliance) -> Path:
    """Where the lock of a description stands, or would."""
    return appliance.directory / NAME


def read(path: Path) -> Lock:
    """The lock; an empty one where there is no file. Raises LockBroken."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock()
    except (OSError, ValueError) as error:
        raise LockBroken(f"the lock cannot be read: {error}", where=str(path)) from error
    from kiwilite.build import lock_text  # here, since most descriptions have no lock

    try:
        return lock_text.read(text)
    except lock_text.BadLock as error:
        where = str(path) if error.line is None else f"{path}:{error.line}"
        raise LockBroken(
            f"the lock is damaged: {error}",
            where=where,
            hint="restore it, or remove it and run `kiwilite system lock` for each selection",
        ) from error


def put(path: Path, name: str, locked: Locked, site: Site) -> None:
    """Put one selection into the lock; those of others stay. Raises LockBroken, OSError."""
    from kiwilite.build import lock_text

    with site.store.lock(f"lock-{hashlib.sha256(str(path.absolute()).encode()).hexdigest()}"):
        write_whole(path, lock_text.write(read(path).having(name, locked)))


def locked_for(appliance: Appliance) -> Locked | None:
    """What is locked for these profiles; None where there is no lock.

    Raises LockBroken, and LockOutdated where the lock has no answer to what is asked.
    """
    path = lock_path(appliance)
    if not path.exists():
        return None
    name = selection_name(appliance)
    locked = read(path).selections.get(name)
    if locked is None:
        raise LockOutdated(
            f"the lock has nothing for `{name}`",
            where=str(path),
            hint="`kiwilite system lock` with the same profiles adds them",
        )
    found = differences(appliance, locked)
    if found:
        raise LockOutdated(
            "\n    ".join(d.message for d in found),
            where=str(found[0].where or path),
            hint=RENEW,
        )
    return locked


def archive_for(
    appliance: Appliance, locked: Locked, site: Site, watcher: Watcher
) -> Prebuilt | None:
    """The locked bootstrap archive, fetched where it is a package. Raises LockOutdated."""
    return _checked(appliance, locked, site) or _fetched(locked, site, watcher)


def known_archive(appliance: Appliance, locked: Locked, site: Site) -> Prebuilt | None:
    """The locked bootstrap archive, if it is on this host. Raises LockOutdated."""
    return _checked(appliance, locked, site)


def _checked(appliance: Appliance, locked: Locked, site: Site) -> Prebuilt | None:
    wanted = appliance.packages.bootstrap_package
    if wanted is None:
        return None
    path = bootstrap_archive.beside_or_stored(appliance, wanted, site)
    archive = locked.archive
    if path is None:
        if archive is not None and archive.package is None:
            raise LockOutdated(
                f"the bootstrap archive {archive.name} (sha256:{archive.sha256}) that the lock "
                "has is not on this host",
                where=str(wanted.span),
                hint=f"put it beside the description as bootstrap/{archive.name}.tar.zst; {RENEW}",
            )
        return None
    bootstrap_archive.check_digest(path, wanted)
    found = digest_file(path)
    if archive is None or archive.sha256 != found:
        has = f"the digest sha256:{archive.sha256}" if archive else "packages instead of it"
        raise LockOutdated(
            f"the bootstrap archive {path} has the digest sha256:{found}, the lock has {has}",
            where=str(wanted.span),
            hint=f"put the archive of the lock there, or remove it; {RENEW}",
        )
    return Prebuilt(path, archive.package)


def _fetched(locked: Locked, site: Site, watcher: Watcher) -> Prebuilt | None:
    archive = locked.archive
    if archive is None or archive.package is None:
        return None
    path = bootstrap_archive.fetch(archive.package, site, watcher)
    return Prebuilt(path, archive.package)
