"""Which ids of the host a build's user namespace has, and who is root in it.

    who builds                            root inside    the other ids inside
    an ordinary user                      that user      their ranges in /etc/subuid
    root of the host                      0x7FFE0000     the ids behind it
    root of a container with fewer ids    itself         the container's own

A namespace has ids 0 to 65535, or to 65534 where there are no more: the last one is no
one's, since it stands for "no id" in 16 bits.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiwilite.errors import HostError

ID_COUNT: Final = 65536
LEAST: Final = ID_COUNT - 2
"""Ids beside root's that a namespace must have."""
FOREIGN_BASE: Final = 0x7FFE0000
"""First id of systemd's range for trees of foreign systems; used when root starts a build."""


@dataclass(frozen=True, slots=True)
class Range:
    """So many ids of the host, from the first on."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class IdMap:
    """Which host id is root inside, and where the others come from, from 1 on."""

    root: int
    others: tuple[Range, ...]

    def lines(self) -> list[tuple[int, int, int]]:
        """(inside, outside, count) rows as uid_map wants them."""
        rows = [(0, self.root, 1)]
        for part in self.others:
            rows.append((rows[-1][0] + rows[-1][2], part.first, part.count))
        return rows


def enough(ranges: Sequence[Range]) -> tuple[Range, ...] | None:
    """As much of the ranges as a namespace takes: one that is enough, else several in turn."""
    wanted = ID_COUNT - 1
    for one in ranges:
        if one.count >= wanted:
            return (Range(one.first, wanted),)
    taken: list[Range] = []
    for one in ranges:
        taken.append(Range(one.first, min(one.count, wanted)))
        wanted -= taken[-1].count
        if wanted == 0:
            break
    return tuple(taken) if sum(r.count for r in taken) >= LEAST else None


def subordinate_ranges(table: Path, names: Sequence[str]) -> tuple[Range, ...] | None:
    """What /etc/subuid or /etc/subgid has for any of `names`; None where it is not enough."""
    found = []
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines():
            name, _, numbers = line.strip().partition(":")
            start, _, count = numbers.partition(":")
            if name in names and start.isdigit() and count.isdigit() and int(count):
                found.append(Range(int(start), int(count)))
    return enough(found)


def names_of(uid: int) -> list[str]:
    """Under which names the tables may have a user."""
    with contextlib.suppress(KeyError):
        return [pwd.getpwuid(uid).pw_name, str(uid)]
    return [str(uid)]


def ids_here(table: Path) -> tuple[Range, ...]:
    """The ids that there are in our own namespace, from /proc/self/uid_map or gid_map."""
    rows = [[int(n) for n in line.split()] for line in table.read_text().splitlines()]
    found: list[Range] = []
    for first, _, count in sorted(rows):
        if found and found[-1].first + found[-1].count == first:
            found[-1] = Range(found[-1].first, found[-1].count + count)
        else:
            found.append(Range(first, count))
    return tuple(found)


def map_of_root(here: Iterable[Range]) -> IdMap:
    """The map when root builds where these ids are. HostError where they are not enough."""
    here = tuple(here)
    for part in here:
        if part.first <= FOREIGN_BASE and part.first + part.count >= FOREIGN_BASE + ID_COUNT:
            return IdMap(FOREIGN_BASE, (Range(FOREIGN_BASE + 1, ID_COUNT - 1),))
    others = enough([Range(1, part.count - 1) for part in here if part.first == 0])
    if others is None:
        count = sum(part.count for part in here)
        raise HostError(
            f"root here is that of a container with {count} ids, and a build needs {ID_COUNT}",
            hint="give whoever starts the container more of them, as root of the host: usermod "
            "--add-subuids FIRST-LAST --add-subgids FIRST-LAST USER; then start a new one",
        )
    return IdMap(0, others)


def maps_of_user(uid: int, gid: int) -> tuple[IdMap, IdMap]:
    """The maps when an ordinary user builds. HostError with the remedy where ids are lacking."""
    names = names_of(uid)
    maps = []
    for table, own in ((Path("/etc/subuid"), uid), (Path("/etc/subgid"), gid)):
        found = subordinate_ranges(table, names)
        if found is None:
            raise HostError(
                f"user {names[0]} has no {LEAST} subordinate ids in {table}",
                hint=f"as root: {usermod(table, names[0])}",
            )
        maps.append(IdMap(own, found))
    return maps[0], maps[1]


def id_maps() -> tuple[IdMap, IdMap]:
    """The uid and gid maps this caller may have; HostError with the remedy where there are none."""
    if os.geteuid() != 0:
        return maps_of_user(os.geteuid(), os.getegid())
    uids, gids = (map_of_root(ids_here(Path(f"/proc/self/{n}_map"))) for n in ("uid", "gid"))
    return uids, gids


def usermod(table: Path, user: str) -> str:
    """The command that gives a user the ids that a table lacks; for root."""
    first = first_free_id((table.with_name("subuid"), table.with_name("subgid")))
    option = "--add-subuids" if table.name == "subuid" else "--add-subgids"
    return f"usermod {option} {first}-{first + ID_COUNT - 1} {user}"


def first_free_id(tables: Iterable[Path]) -> int:
    """The first id behind all ranges of the tables, 100000 where they are empty."""
    ends = [100000]
    for table in tables:
        lines = table.read_text().splitlines() if table.exists() else []
        rows = [line.split(":") for line in lines if line.count(":") == 2]
        ends += [int(r[1]) + int(r[2]) for r in rows if r[1].isdigit() and r[2].isdigit()]
    return max(ends)
