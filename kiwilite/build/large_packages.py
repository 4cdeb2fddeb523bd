"""Which packages go in first: those that bring much, with all they need.

An image's packages are installed in two goes, so that one more small package costs the
second go only. Which go a package is in says the package itself, with what it needs; what
else the description asks for has no part in it, nor in which order. So the tree is the same
whatever was built before: every build installs in these two goes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from kiwilite.build.control import field

LARGE = 4 << 20
"""Bytes that a package and all it needs take when installed, from which on it is large."""

_NEEDS = ("Pre-Depends", "Depends", "Recommends")
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


def large(asked: Collection[str], stanzas: Mapping[str, str]) -> tuple[str, ...]:
    """Names of those of `stanzas` (paragraphs by name) that go in first, sorted.

    These are the large ones of `asked` with all they need of `stanzas`, every alternative of
    a need included. Empty where one go is enough, since none of `asked` is large or all are.
    """
    providers = _providers(stanzas)
    needs = {name: _meant(_needs(text), providers) for name, text in stanzas.items()}
    wanted = _meant(asked, providers)
    first: set[str] = set()
    for name in wanted:
        members = _closure(name, needs)
        if sum(_installed_bytes(stanzas[member]) for member in members) >= LARGE:
            first |= members
    return () if wanted <= first else tuple(sorted(first))


def _providers(stanzas: Mapping[str, str]) -> Mapping[str, set[str]]:
    """Which packages each name may mean: the one called so, and those that provide it."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, stanza in stanzas.items():
        for provided in (name, *_names(field(stanza, "Provides").split(","))):
            found[provided].add(name)
    return found


def _needs(stanza: str) -> Iterable[str]:
    """All that a package depends on or recommends, alternatives side by side."""
    return re.split("[,|]", ",".join(field(stanza, name) for name in _NEEDS))


def _meant(words: Iterable[str], providers: Mapping[str, set[str]]) -> set[str]:
    return {one for name in _names(words) for one in providers.get(name, ())}


def _names(words: Iterable[str]) -> Iterable[str]:
    """The names in words such as `libc6 (>= 2.36)`, `python3:any` or `less=590-2`."""
    found = (_NAME.match(word.strip()) for word in words)
    return (match[0] for match in found if match)


def _closure(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    found, pending = {name}, [name]
    while pending:
        new = needs[pending.pop()] - found
        found |= new
        pending += new
    return found


def _installed_bytes(stanza: str) -> int:
    return int(field(stanza, "Installed-Size") or 0) * 1024
