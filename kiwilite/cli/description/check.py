"""`kiwilite description check`: all that is wrong with a description, each at its line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kiwilite.cli.diagnostics import print_diagnostics
from kiwilite.description.check import Checked, check_description
from kiwilite.description.find import find
from kiwilite.description.report.text import count
from kiwilite.errors import UsageError

FORMATS = ("text", "json", "sarif", "gcc")
_NAMED = 8
"""So many profiles are named in the note; of more it is told how many."""


def check(found: dict[str, Any]) -> int:
    """Run `kiwilite description check`; returns the exit status."""
    output = found["--format"] or "text"
    if output not in FORMATS:
        raise UsageError(f"--format {output}: text, json, sarif or gcc")
    path = find(found["PATH"])
    checked = check_description(
        path, tuple(found["--profile"]), arch=found["--arch"], type_name=found["--type"]
    )
    if output == "text":
        _print_text(path, checked)
    else:
        sys.stdout.write(_machine_readable(checked, output))
    return 0 if checked.valid else 1


def _machine_readable(checked: Checked, output: str) -> str:
    if output == "json":
        from kiwilite.description.report.as_json import as_json

        return as_json(checked.found)
    if output == "sarif":
        from kiwilite.description.report.sarif import sarif

        return sarif(checked.found)
    from kiwilite.description.report.gcc import gcc

    return gcc(checked.found)


def _print_text(path: Path, checked: Checked) -> None:
    """The findings and a line that sums them up; on stderr what was looked at, and what not."""
    print_diagnostics(checked.found, sys.stdout)
    numbers = count(checked.found)
    if checked.valid:
        print(f"{path}: valid, {numbers}" if numbers else f"{path}: valid")
    else:
        print(f"{path}: invalid, {numbers}")
    sys.stdout.flush()
    for note in _notes(checked):
        sys.stderr.write(f"note: {note}\n")


def _notes(checked: Checked) -> list[str]:
    if checked.looked_at in ((), ("",)) and not checked.left_out:
        return []
    ways = ["without a profile"] if "" in checked.looked_at else []
    if named := [name for name in checked.looked_at if name]:
        ways.append(f"with {_listed(named)}")
    notes = [f"looked at {' and '.join(ways)}"] if ways else []
    if checked.left_out:
        notes.append(
            f"not looked at with {_listed(checked.left_out)}, which alone make no appliance "
            "here, or are too many; name profiles with --profile"
        )
    return notes


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
