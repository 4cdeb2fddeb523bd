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
        first = str(error).strip().splitlines()
        said = first[0] if first and not first[0].startswith("Usage") else "these words do not fit"
        raise UsageError(said, hint="add --help to see what fits") from error
    return found
