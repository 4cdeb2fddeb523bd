"""Tokens of ours in a LUKS2 header, one function to make each and one to read it.

`kiwilite-keyslot` gives a keyslot its name in the description:

    {"type": "kiwilite-keyslot", "keyslots": ["1"], "name": "recovery"}

`kiwilite-written` stands in a volume with holes and names what is written of the mapped
device, in blocks of 4096 bytes, ascending and apart from each other:

    {"type": "kiwilite-written", "keyslots": [], "extents": ["0 1040", "19200 32"]}

cryptsetup keeps tokens it does not know, and takes a keyslot that it removes out of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from kiwilite.ondisk.luks2.jsontree import BadMetadata, Json
from kiwilite.ondisk.luks2.metadata import Token

NAME: Final = "kiwilite-keyslot"
WRITTEN: Final = "kiwilite-written"
Extent = tuple[int, int]
"""First block and number of blocks."""


def name_token(number: int, keyslot: int, name: str) -> Token:
    """Token `number`, which says that `keyslot` is called `name`."""
    return Token(number, NAME, (keyslot,), {"name": name})


def keyslot_names(tokens: Iterable[Token]) -> dict[int, str]:
    """The names of keyslots, by their numbers."""
    names: dict[int, str] = {}
    for token in tokens:
        name = token.fields.get("name")
        if token.type == NAME and isinstance(name, str):
            names.update(dict.fromkeys(token.keyslots, name))
    return names


def written_token(number: int, extents: Sequence[Extent]) -> Token:
    """Token `number` with these extents; raises BadMetadata if they are not in order."""
    _check_order(f"tokens.{number}.extents", extents)
    listed: Json = [f"{first} {count}" for first, count in extents]
    return Token(number, WRITTEN, (), {"extents": listed})


def written_extents(tokens: Iterable[Token]) -> tuple[Extent, ...] | None:
    """The extents of the volume's written blocks; None where no token names them.

    Raises BadMetadata for two such tokens or one that is not in order.
    """
    found = [token for token in tokens if token.type == WRITTEN]
    if not found:
        return None
    place = f"tokens.{found[-1].number}.extents"
    if len(found) > 1:
        raise BadMetadata(place, f"{WRITTEN} stands there twice")
    listed = found[0].fields.get("extents")
    if not isinstance(listed, list):
        raise BadMetadata(place, "is no array")
    extents = tuple(_extent(place, item) for item in listed)
    _check_order(place, extents)
    return extents


def _extent(place: str, item: Json) -> Extent:
    words = item.split(" ") if isinstance(item, str) else []
    if len(words) != 2 or not all(w.isascii() and w.isdigit() and len(w) < 20 for w in words):
        raise BadMetadata(place, 'is not of the form "FIRST COUNT"')
    return int(words[0]), int(words[1])


def _check_order(place: str, extents: Sequence[Extent]) -> None:
    end = 0
    for first, count in extents:
        if first < end or count < 1:
            raise BadMetadata(place, f'"{first} {count}" is empty or out of order')
        end = first + count
