"""Every command of the project with its help, in the order in which it is shown."""

from __future__ import annotations

from usage import Usage, parse

from kiwilite.cli import description, doctor, explain, image, main, run_x86, store, system

KIWILITE = "kiwilite"
GROUPS = {
    "system": system.USAGE,
    "description": description.USAGE,
    "image": image.USAGE,
    "store": store.USAGE,
    "explain": explain.USAGE,
    "doctor": doctor.USAGE,
}


def groups() -> dict[str, Usage]:
    """The help of each command group, by its name."""
    assert tuple(GROUPS) == main.GROUPS, "a command group without a manual page"
    return {name: parse(text) for name, text in GROUPS.items()}


def whole() -> Usage:
    """The help of `kiwilite` itself."""
    return parse(main.USAGE)


def runner() -> Usage:
    """The help of `run_x86`."""
    return parse(run_x86.__doc__ or "")
