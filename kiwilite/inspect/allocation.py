"""Which bytes of a disk nobody reads: told by its structures, without checking their content."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from kiwilite.errors import KiwiliteError
from kiwilite.inspect import volume
from kiwilite.inspect.content import MARK_BYTES, Luks, Mark
from kiwilite.inspect.look import Holding, Seen
from kiwilite.inspect.regions import Region, State, region_map

USED = "in use"


def mark_rest(holding: Holding) -> Region:
    """What follows a provisioning mark: the first boot writes over it."""
    p = holding.partition
    return Region(p.start + MARK_BYTES, p.end, State.UNALLOCATED, p.name, "not provisioned")


def allocation(seen: Seen) -> tuple[Region, ...]:
    """All bytes of the disk in order: UNALLOCATED, or UNCHECKED for those in use.

    What `verify` calls unallocated is so here too. Bytes that must be zero are in use.
    """
    claims = list(seen.checked.claims)
    for holding in seen.holdings:
        p = holding.partition
        claims += _inner(seen, holding)
        claims.append(Region(p.start, p.end, State.UNCHECKED, p.name, USED))
    return tuple(_plain(region_map(claims, seen.disk.size)))


def _inner(seen: Seen, holding: Holding) -> Iterator[Region]:
    if isinstance(holding.content, Mark):
        yield mark_rest(holding)
    if not isinstance(holding.content, Luks):
        return
    try:
        header = volume.read_headers(seen.disk, holding.partition).best
    except KiwiliteError:
        return  # damaged: nothing can be said of what is behind it
    found, _ = volume.opened(seen.disk, holding.partition, header)
    yield from volume.header_claims(found, ())
    yield from volume.closed_claims(found)


def _plain(regions: tuple[Region, ...]) -> Iterator[Region]:
    """Used and unallocated only; neighbours that are alike as one."""
    rows = (
        (r, (r.part, r.by if r.state is State.UNALLOCATED else USED, r.state is State.UNALLOCATED))
        for r in regions
    )
    for (part, by, free), group in groupby(rows, key=lambda row: row[1]):
        members = [region for region, _ in group]
        state = State.UNALLOCATED if free else State.UNCHECKED
        yield Region(members[0].start, members[-1].end, state, part, by)
