"""From conditions to what a build gets on this host, or why it cannot have it."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiwilite.build.ids import subordinate_ranges
from kiwilite.build.reproduce.conditions import Condition

LATER_BY: Final = 3600
"""Seconds."""
LOCALE: Final = "tr_TR.UTF-8"
"""Turkish, whose lower case of I is no i. Installed or not: tools read the variables."""
NOISE: Final = {
    "PYTHONHASHSEED": "12345",
    "ZSTD_CLEVEL": "1",
    "XZ_OPT": "-1",
    "GZIP": "-1",
    "TERM": "dumb",
    "EDITOR": "/bin/false",
    "SHELL": "/bin/false",
    "POSIXLY_CORRECT": "1",
    "A_VARIABLE_NOBODY_KNOWS": "x" * 4000,
}


@dataclass(frozen=True, slots=True)
class Host:
    """What conditions ask for, as this host has it."""

    is_root: bool
    processors: tuple[int, ...]
    clock: Path | None
    """libfaketime."""
    other_user: str | None
    other_file_system: Path | None
    """A folder on a file system that lists entries in another order, with room enough."""
    epoch: int
    """What the description stands for without SOURCE_DATE_EPOCH."""
    given_epoch: int | None
    """SOURCE_DATE_EPOCH of our environment."""


def clock_library() -> Path | None:
    """libfaketime, where it is installed."""
    return next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


def users_with_ids() -> Iterator[str]:
    """Names of ordinary users of this host who have ids for a namespace."""
    for entry in pwd.getpwall():
        if entry.pw_uid != 0 and has_ids(entry):
            yield entry.pw_name


def has_ids(entry: pwd.struct_passwd) -> bool:
    """Whether both tables have a range for a user."""
    names = [entry.pw_name, str(entry.pw_uid)]
    return all(subordinate_ranges(Path(t), names) for t in ("/etc/subuid", "/etc/subgid"))


def obstacle(condition: Condition, host: Host) -> str | None:
    """Why this host does not allow a condition; None where it does."""
    reasons: Mapping[Condition, tuple[bool, str]] = {
        Condition.HOSTNAME: (not host.is_root, "only root can have another host name"),
        Condition.PROCESSORS: (len(host.processors) < 2, "there is only one processor here"),
        Condition.LATER: (host.clock is None, "libfaketime is not installed"),
        Condition.ORDER: (
            host.other_file_system is None,
            "no file system here has room and lists entries in another order",
        ),
        Condition.USER: (
            not host.is_root or host.other_user is None,
            "no ordinary user has ids in /etc/subuid and /etc/subgid"
            if host.is_root
            else "only root can build as somebody else",
        ),
        Condition.EPOCH: (
            host.given_epoch not in (None, host.epoch),
            "SOURCE_DATE_EPOCH is not what the description has",
        ),
    }
    applies, reason = reasons.get(condition, (False, ""))
    return reason if applies else None


def variables(
    conditions: frozenset[Condition], host: Host, base: Mapping[str, str], own: Path
) -> dict[str, str]:
    """The environment of a build; `own` is a folder in which it may have a home and scratch."""
    found = dict(base)
    if Condition.LOCALE in conditions:
        found |= {"LANG": LOCALE, "LC_ALL": LOCALE, "LANGUAGE": "tr:en"}
    if Condition.TIME_ZONE in conditions:
        found["TZ"] = "Pacific/Kiritimati"
    if Condition.HOME in conditions:
        found["HOME"] = str(own / "home")
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            found.pop(name, None)
    if Condition.SCRATCH in conditions:
        found["TMPDIR"] = str(own / "scratch")
    if Condition.NOISE in conditions:
        found |= NOISE
    if Condition.USER in conditions and host.other_user:
        found |= {"USER": host.other_user, "LOGNAME": host.other_user}
    if Condition.EPOCH in conditions:
        found |= {"SOURCE_DATE_EPOCH": str(host.epoch)}
        if host.given_epoch is not None:
            del found["SOURCE_DATE_EPOCH"]
    return found


def clock_variables(library: Path) -> dict[str, str]:
    """What makes libfaketime show a clock that is an hour fast.

    Time stamps of files stay true: tools that keep them would write false ones.
    """
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": f"+{LATER_BY}s",
        "NO_FAKE_STAT": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }


def ways_to_python() -> list[str]:
    """What another user must reach to run this interpreter and this package."""
    import kiwilite

    package = Path(kiwilite.__file__).resolve().parent
    paths = {sys.prefix, sys.base_prefix, str(package.parent)}
    paths |= {str(Path(p).resolve()) for p in sys.path if p and Path(p).is_dir()}
    return sorted(p for p in paths if not p.startswith("/usr/") and p != os.sep)
