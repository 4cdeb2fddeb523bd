"""`kiwilite description show`: what holds for some profiles, and where it was written."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kiwilite.cli.output import save
from kiwilite.description.codes import NOT_BUILT, SETTLED
from kiwilite.description.diagnostics import DescriptionInvalid
from kiwilite.description.find import find
from kiwilite.description.load import examine
from kiwilite.description.show.elements import Shown, shown
from kiwilite.description.show.text import LEAST_WIDTH, Paper, lines
from kiwilite.errors import UsageError


def show(found: dict[str, Any]) -> int:
    """Print the resolved description; 1 where it has errors that leave it readable."""
    output_format = found["--format"] or "text"
    if output_format not in FORMATS:
        raise UsageError(f"--format {output_format}: {', '.join(FORMATS)}")
    requested = tuple(found["--profile"])
    examined = examine(
        find(found["PATH"]), requested, arch=found["--arch"], type_name=found["--type"]
    )
    errors = [p for p in examined.found if p.severity == "error"]
    if examined.appliance is None or any(p.code < SETTLED for p in errors):
        raise DescriptionInvalid(examined.found)
    write = FORMATS[output_format]
    what = shown(examined, examined.appliance, requested)
    if found["--output"] is None:
        sys.stdout.write(write(what, _terminal()))
        sys.stdout.flush()
    else:
        save(found["--output"], write(what, Paper()))
    for error in errors:
        sys.stderr.write(f"{error}\n")
    return 1 if any(p.code < NOT_BUILT for p in errors) else 0


MOST_WIDTH = 120


def _terminal() -> Paper:
    if not sys.stdout.isatty():
        return Paper()
    columns = shutil.get_terminal_size().columns
    return Paper(max(LEAST_WIDTH, min(columns, MOST_WIDTH)), dim="NO_COLOR" not in os.environ)


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _text(what: Shown, paper: Paper) -> str:
    return _joined(lines(what, paper))


def _xml(what: Shown, _paper: Paper) -> str:
    from kiwilite.description.show.xml import annotated

    return _joined(annotated(what))


def _json(what: Shown, _paper: Paper) -> str:
    from kiwilite.description.show.data import data

    return json.dumps(data(what), indent=1, ensure_ascii=False) + "\n"


def _yaml(what: Shown, _paper: Paper) -> str:
    import yaml

    from kiwilite.description.show.data import data

    return str(yaml.safe_dump(data(what), sort_keys=False, allow_unicode=True))


FORMATS: Mapping[str, Callable[[Shown, Paper], str]] = {
    "text": _text,
    "xml": _xml,
    "json": _json,
    "yaml": _yaml,
}
