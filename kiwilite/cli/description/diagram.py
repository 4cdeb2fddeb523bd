"""`kiwilite description diagram`: profiles, packages and the storage stack as a picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from kiwilite.description.find import find
from kiwilite.description.outline import outline
from kiwilite.errors import KiwiliteError, UsageError
from kiwilite.plan.diagram.compose import diagram as compose


def diagram(found: dict[str, Any]) -> int:
    """Draw the description; returns the exit status."""
    output_format = found["--format"] or "text"
    if output_format not in ("text", "svg"):
        raise UsageError(f"--format {output_format}: text or svg")
    seen = outline(
        find(found["PATH"]),
        tuple(found["--profile"]),
        arch=found["--arch"],
        type_name=found["--type"],
    )
    picture = compose(seen.outline, seen.appliance, seen.not_built)
    if output_format == "svg":
        from kiwilite.plan.diagram.svg import svg as drawn
    else:
        from kiwilite.plan.diagram.text import text as drawn
    _write(drawn(picture), found["--output"])
    return 0


def _write(text: str, name: str | None) -> None:
    if name is None:
        sys.stdout.write(text)
        return
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise KiwiliteError(f"cannot be written: {error.strerror}", where=name) from error
