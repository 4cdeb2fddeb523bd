"""`kiwilite explain`: the long explanation of a diagnostic's code."""

from __future__ import annotations

from collections.abc import Sequence

from kiwilite.cli.parse import parse
from kiwilite.errors import UsageError

USAGE = """\
Explain a diagnostic: what it means, a wrong example and a right one.

Usage:
  kiwilite explain CODE
  kiwilite explain

Without CODE, list all of them. A code is what stands in brackets behind the
severity, such as KL0042.

Options:
  -h --help  This text.
"""


def main(arguments: Sequence[str]) -> int:
    """Run `kiwilite explain …`; returns the exit status."""
    parse(USAGE, arguments)
    raise UsageError("not there yet")
