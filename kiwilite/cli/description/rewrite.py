"""The commands of `kiwilite description` that rewrite files: format and upgrade."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kiwilite.description.find import find
from kiwilite.description.rewrite import Rewrite, formatted, upgraded
from kiwilite.description.text.difference import unified
from kiwilite.description.text.save import save
from kiwilite.description.upgrade import CURRENT
from kiwilite.errors import UsageError

SOMETHING_TO_DO = 1
"""Exit status of --check."""

_COLOURS = {"---": "1", "+++": "1", "@@ ": "36", "-": "31", "+": "32"}
"""Of the lines of a diff, by how they begin; the first that fits counts."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What may command a terminal; XML allows some of it."""


def format_description(found: dict[str, Any]) -> int:
    """Bring a file to the usual form; returns the exit status."""
    output = _output(found)
    rewrite = formatted(find(found["PATH"]))
    if found["--check"] and rewrite.changed:
        _show([rewrite])
        return SOMETHING_TO_DO
    _write(output, [rewrite])
    if not rewrite.changed:
        _say(output, f"nothing to do: {rewrite.file} is in the usual form")
    elif output is None:
        _say(output, f"formatted {rewrite.file}")
    return 0


def upgrade_description(found: dict[str, Any]) -> int:
    """Bring a description to the current vocabulary; returns the exit status."""
    output = _output(found)
    upgrade = upgraded(find(found["PATH"]))
    here = [upgrade.main] if output else [upgrade.main, *upgrade.included]
    left = [*upgrade.included, *upgrade.elsewhere] if output else upgrade.elsewhere
    changed = [rewrite for rewrite in here if rewrite.changed]
    if not found["--check"]:
        _write(output, here)
    if output != "-":
        _show(changed)
    for rewrite in left:
        sys.stderr.write(f"warning: {_left_alone(rewrite)}\n")
    if not changed:
        _say(output, f"nothing to do: {upgrade.main.file} has schemaversion {CURRENT}")
    elif not found["--check"] and output is None:
        names = ", ".join(str(rewrite.file) for rewrite in changed)
        _say(output, f"upgraded from schemaversion {upgrade.version} to {CURRENT}: {names}")
    return SOMETHING_TO_DO if changed and found["--check"] else 0


def _output(found: dict[str, Any]) -> str | None:
    """Where to write instead of over the file; UsageError where that makes no sense."""
    output: str | None = found["--output"]
    if output is None:
        return None
    if found["--check"]:
        raise UsageError("--check writes nothing, so there is no use for --output")
    if not output or Path(output).is_dir():
        raise UsageError(f"--output `{output}` is not the name of a file")
    return output


def _left_alone(rewrite: Rewrite) -> str:
    """What to say of an included file that needs changes and does not get them."""
    return (
        f"{rewrite.file} is included and has to be upgraded too, but was left as it is\n"
        f"  hint: kiwilite description upgrade {rewrite.file}"
    )


def _write(output: str | None, rewrites: Sequence[Rewrite]) -> None:
    """Write what has changed over its file, or the first of `rewrites` to `output`."""
    if output is None:
        save({rewrite.file: rewrite.new for rewrite in rewrites if rewrite.changed})
    elif output == "-":
        sys.stdout.buffer.write(rewrites[0].new)
        sys.stdout.buffer.flush()
    else:
        save({Path(output): rewrites[0].new})


def _say(output: str | None, text: str) -> None:
    """A line for the person at the terminal, beside the document if that goes to stdout."""
    print(text, file=sys.stderr if output == "-" else sys.stdout)


def _show(rewrites: Iterable[Rewrite]) -> None:
    """The differences, in colours on a terminal that wants some."""
    terminal = sys.stdout.isatty()
    coloured = terminal and "NO_COLOR" not in os.environ
    encoding = sys.stdout.encoding or "utf-8"
    for rewrite in rewrites:
        if rewrite.before == rewrite.after:
            print(f"{rewrite.file}: only its encoding changes, to UTF-8")
        for line in unified(rewrite.before, rewrite.after, str(rewrite.file)):
            shown = (
                _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", line) if terminal else line
            )
            shown = _coloured(shown) if coloured else shown
            print(shown.encode(encoding, "backslashreplace").decode(encoding))


def _coloured(line: str) -> str:
    colour = next((c for start, c in _COLOURS.items() if line.startswith(start)), None)
    return line if colour is None else f"\x1b[{colour}m{line}\x1b[0m"
