"""`kiwilite explain`: the long explanation of a diagnostic's code."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence

from kiwilite.cli.parse import parse
from kiwilite.cli.terminal import painted, wants_colour
from kiwilite.description import suggest
from kiwilite.description.codes import TITLES
from kiwilite.description.explanation import explanation
from kiwilite.errors import UsageError

USAGE = """\
Explain a diagnostic: what it means, a wrong example and a right one.

Usage:
  kiwilite explain CODE
  kiwilite explain

Without CODE, list all of them. A code is what stands in brackets behind the
severity, such as KL0042; the number alone will do.

Options:
  -h --help  This text.
"""

_INDENT = "    "


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite explain …`; returns the exit status."""
    found = parse(USAGE, arguments)
    if found["CODE"] is None:
        print("\n".join(f"{code}  {title}" for code, title in TITLES.items()))
        return 0
    code = code_of(found["CODE"])
    known = explanation(code)
    colour = wants_colour(sys.stdout)
    print(painted(f"{code}: {known.title}", "1", colour))
    print()
    print("\n".join(_readable(known.body, colour)))
    return 0


def code_of(word: str) -> str:
    """The code that `word` means; UsageError, with the nearest one, if it is none."""
    wanted = word.strip("[]").upper()
    if found := re.fullmatch(r"(KL)?([0-9]{1,4})", wanted):
        wanted = f"KL{found[2]:0>4}"
    if wanted in TITLES:
        return wanted
    hint = suggest.hint(wanted, TITLES)
    raise UsageError(
        f"there is no code `{word}`", hint=hint or "`kiwilite explain` lists all codes"
    )


def _readable(markdown: str, colour: bool) -> Iterator[str]:
    """The text without its marks: headings as they are, examples indented."""
    inside = False
    for line in markdown.splitlines():
        if line.startswith("```"):
            inside = not inside
        elif inside:
            is_mark = re.fullmatch(r"\s*\^+", line) is not None
            yield (_INDENT + painted(line, "1;31", colour and is_mark)).rstrip()
        else:
            heading = line.startswith("## ")
            yield painted(line.removeprefix("## "), "1", colour and heading)
