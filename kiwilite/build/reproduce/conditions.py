"""What must not change an image, as data: the conditions, and twenty ways to combine them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kiwilite.errors import UsageError


class Condition(Enum):
    """Something that is another one than in the first build. The value is said to people.

    Another target folder and another store with nothing in it come with every build.
    """

    FOLDER = "another folder of the description, with other time stamps and owners"
    PACKAGES = "no package downloaded before"
    UMASK = "another umask"
    LOCALE = "another locale"
    TIME_ZONE = "another time zone"
    HOSTNAME = "another host name"
    PROCESSORS = "one processor"
    USER = "another user"
    HOME = "another home"
    NOISE = "other environment variables"
    EPOCH = "SOURCE_DATE_EPOCH given another way"
    SCRATCH = "another folder for temporary files"
    LATER = "an hour later"
    ORDER = "folders that list their entries in another order"
    TERMINAL = "on a terminal"


@dataclass(frozen=True, slots=True)
class Variation:
    """A build under other conditions; `name` is for the command line."""

    name: str
    conditions: frozenset[Condition]
    about: Condition | None = None
    """Without this one there is no point in it."""


def _one(name: str, about: Condition, *more: Condition) -> Variation:
    return Variation(name, frozenset((about, *more)), about)


def _some(name: str, *conditions: Condition) -> Variation:
    return Variation(name, frozenset(conditions))


_C = Condition
VARIATIONS: Final = (
    Variation("everything", frozenset(Condition) - {_C.PACKAGES, _C.USER}),
    _some("store"),
    _one("user", _C.USER, _C.FOLDER, _C.HOME),
    _one("packages", _C.PACKAGES),
    _one("folder", _C.FOLDER),
    _one("order", _C.ORDER),
    _one("processors", _C.PROCESSORS),
    _one("later", _C.LATER),
    _one("umask", _C.UMASK),
    _one("locale", _C.LOCALE),
    _one("timezone", _C.TIME_ZONE),
    _one("hostname", _C.HOSTNAME),
    _one("home", _C.HOME),
    _one("environment", _C.NOISE),
    _one("epoch", _C.EPOCH),
    _one("tmpdir", _C.SCRATCH),
    _one("terminal", _C.TERMINAL),
    _some("abroad", _C.LOCALE, _C.TIME_ZONE, _C.LATER, _C.FOLDER),
    _some("machine", _C.HOSTNAME, _C.PROCESSORS, _C.ORDER, _C.PACKAGES),
    _some("stranger", *(set(Condition) - {_C.ORDER, _C.PACKAGES})),
)
"""By what they tell: `everything` at once first, then each by itself, then more together."""


def chosen(words: str) -> tuple[Variation, ...]:
    """The variations that `--variations` means: so many from the first on, or names.

    Raises UsageError.
    """
    if words.isdigit():
        if not 1 <= int(words) <= len(VARIATIONS):
            raise UsageError(f"--variations {words}: 1 to {len(VARIATIONS)}, or names")
        return VARIATIONS[: int(words)]
    by_name = {v.name: v for v in VARIATIONS}
    names = words.split(",")
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise UsageError(
            f"--variations: there is none called {', '.join(unknown)}",
            hint=f"known are {', '.join(by_name)}",
        )
    return tuple(by_name[name] for name in dict.fromkeys(names))


def in_order(conditions: frozenset[Condition]) -> Sequence[Condition]:
    """Always the same order: that of their declaration."""
    return [c for c in Condition if c in conditions]
