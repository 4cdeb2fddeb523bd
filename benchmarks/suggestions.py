"""How often the name that was meant is the first suggestion for a misspelt one.

Usage: suggestions.py [--json]

Every name of the vocabulary is misspelt in every way that one slip makes of it: elements
among the children of each parent, attributes among those of their element, and the values
of each list. A word that is another legal name in its place is no mistake and does not
count. Printed is the share by kind of slip and of name; the exit status is 1 where the share
of all is below 95 %. --json prints numbers for a program.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from string import ascii_lowercase

from kiwilite.description import suggest
from kiwilite.description.vocabulary import ElementForm, vocabulary

LIMIT = 95.0

KEYS = ("1234567890-", "qwertyuiop", "asdfghjkl", "zxcvbnm")
"""Rows of a keyboard; each is half a key to the right of the one above."""

Case = tuple[str, str, tuple[str, ...]]
"""A kind of name, a name, and all that are legal in its place."""


def neighbours() -> dict[str, str]:
    """The keys around each key."""
    around: dict[str, str] = {}
    for row, keys in enumerate(KEYS):
        for column, key in enumerate(keys):
            places = [
                (row, column - 1),
                (row, column + 1),
                (row - 1, column),
                (row - 1, column + 1),
            ]
            places += [(row + 1, column - 1), (row + 1, column)]
            around[key] = "".join(
                KEYS[r][c] for r, c in places if 0 <= r < len(KEYS) and 0 <= c < len(KEYS[r])
            )
    return around


NEIGHBOURS = neighbours()


def left_out(name: str) -> Iterator[str]:
    yield from (name[:n] + name[n + 1 :] for n in range(len(name)) if len(name) > 1)


def too_many(name: str) -> Iterator[str]:
    for n in range(len(name) + 1):
        yield from (name[:n] + letter + name[n:] for letter in ascii_lowercase)


def doubled(name: str) -> Iterator[str]:
    yield from (name[:n] + name[n] + name[n:] for n in range(len(name)))


def key_beside(name: str) -> Iterator[str]:
    for n, letter in enumerate(name):
        yield from (name[:n] + key + name[n + 1 :] for key in NEIGHBOURS.get(letter.lower(), ""))


def another_letter(name: str) -> Iterator[str]:
    for n in range(len(name)):
        yield from (name[:n] + letter + name[n + 1 :] for letter in ascii_lowercase)


def swapped(name: str) -> Iterator[str]:
    yield from (name[:n] + name[n + 1] + name[n] + name[n + 2 :] for n in range(len(name) - 1))


def another_case(name: str) -> Iterator[str]:
    yield from (name[:n] + name[n].swapcase() + name[n + 1 :] for n in range(len(name)))
    yield from (name.upper(), name.capitalize())


def another_joint(name: str) -> Iterator[str]:
    for n, letter in enumerate(name):
        if letter in "-_":
            yield from (name[:n] + other + name[n + 1 :] for other in ("-", "_", "", " "))
    yield from (name.replace("-", "_"), name.replace("_", "-"))


SLIPS: dict[str, Callable[[str], Iterator[str]]] = {
    "a letter left out": left_out,
    "a letter too many": too_many,
    "a letter doubled": doubled,
    "the key beside it": key_beside,
    "another letter": another_letter,
    "two letters swapped": swapped,
    "another case": another_case,
    "hyphen, underscore": another_joint,
}


def cases() -> Iterator[Case]:
    """Every name with those that are legal in its place, each list once."""
    words = vocabulary()
    lists: dict[tuple[str, tuple[str, ...]], None] = {}
    for form in words.elements.values():
        lists["element", tuple(form.children)] = None
        lists["attribute", tuple(form.attributes)] = None
        for literals in _values(form):
            lists["value", literals] = None
    for kind, legal in lists:
        yield from ((kind, name, legal) for name in dict.fromkeys(legal))


def _values(form: ElementForm) -> Iterator[tuple[str, ...]]:
    """Lists that mistakes are compared with."""
    types = [form.text, *(attribute.value for attribute in form.attributes.values())]
    yield from (t.literals for t in types if t and t.literals and not t.datatypes)


def tally() -> tuple[Counter[tuple[str, str]], Counter[tuple[str, str]], Counter[str]]:
    """How many by (slip, kind of name), how many of them were understood, and failures."""
    all_of: Counter[tuple[str, str]] = Counter()
    right: Counter[tuple[str, str]] = Counter()
    wrong: Counter[str] = Counter()
    for kind, name, legal in cases():
        others = set(legal)
        for slip, make in SLIPS.items():
            for word in set(make(name)) - others:
                all_of[slip, kind] += 1
                found = suggest.nearest(word, legal)
                right[slip, kind] += found == name
                if found != name:
                    wrong[f"{slip}: {word} of {name}, not {found}"] += 1
    return all_of, right, wrong


def main(arguments: Sequence[str]) -> int:
    all_of, right, wrong = tally()
    kinds = list(dict.fromkeys(kind for _, kind in all_of))
    rows = [(slip, [(slip, kind) for kind in kinds]) for slip in SLIPS]
    rows += [(f"{kind}s", [(slip, kind) for slip in SLIPS]) for kind in kinds]
    rows += [("all", list(all_of))]
    shares = {name: _share(right, all_of, keys) for name, keys in rows}
    if "--json" in arguments:
        print(json.dumps([_measure(name, share) for name, share in shares.items()], indent=1))
    else:
        for name, keys in rows:
            print(f"{name:20} {shares[name]:6.2f} %  of {sum(all_of[key] for key in keys):7}")
    if "--failures" in arguments:
        print("\n".join(sorted(wrong)))
    return 0 if shares["all"] >= LIMIT else 1


def _share(
    right: Counter[tuple[str, str]], of: Counter[tuple[str, str]], keys: Sequence[tuple[str, str]]
) -> float:
    return 100 * sum(right[key] for key in keys) / max(1, sum(of[key] for key in keys))


def _measure(name: str, share: float) -> dict[str, str | float]:
    measure: dict[str, str | float] = {"name": name, "value": round(share, 2), "unit": "%"}
    return {**measure, "limit": LIMIT} if name == "all" else measure


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
