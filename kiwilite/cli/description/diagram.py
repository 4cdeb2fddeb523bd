"""`kiwilite description diagram`: profiles, packages and the storage stack as a picture."""

from __future__ import annotations

import sys
from typing import Any

from kiwilite.cli.output import save
from kiwilite.cli.parse import demand_one_of
from kiwilite.description.find import find
from kiwilite.description.outline import outline
from kiwilite.plan.diagram.compose import diagram as compose


def diagram(found: dict[str, Any]) -> int:
    """Draw the description; returns the exit status."""
    demand_one_of(found, "--format", "text", "svg")
    seen = outline(
        find(found["PATH"]),
        tuple(found["--profile"]),
        arch=found["--arch"],
        type_name=found["--type"],
    )
    picture = compose(seen.outline, seen.appliance, seen.not_built)
    if found["--format"] == "svg":
        from kiwilite.plan.diagram.svg import svg as drawn
    else:
        from kiwilite.plan.diagram.text import text as drawn
    if found["--output"] is None:
        sys.stdout.write(drawn(picture))
    else:
        save(found["--output"], drawn(picture))
    return 0
