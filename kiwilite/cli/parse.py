"""docopt, with usage mistakes as errors of ours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kiwilite.errors import UsageError


def parse(usage: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Arguments by name. Prints help and leaves on --help; raises UsageError."""
    from docopt import DocoptExit, docopt

    try:
        found: dict[str, Any] = dict(docopt(usage, list(arguments)))
    except DocoptExit as error:
        said = next(iter(str(error).strip().splitlines()), "Usage")
        if said.startswith(("Usage", "Warning")):  # not for people: docopt's own objects are in it
            said = f"these words do not fit together: {' '.join(arguments)}"
        raise UsageError(said, hint="add --help to see what fits") from error
    return found


def demand_one_of(found: dict[str, Any], option: str, *words: str) -> None:
    """Raise UsageError where an option was given another word than one of these."""
    if found[option] is not None and found[option] not in words:
        raise UsageError(f"{option} {found[option]}: {' or '.join(words)}")
