"""What a rewriting changes, as a unified diff."""

from __future__ import annotations

from collections.abc import Iterator

_NO_NEWLINE = "\\ No newline at end of file"


def unified(before: str, after: str, name: str) -> Iterator[str]:
    """The lines of the diff between two versions of the file `name`, without line ends.

    A carriage return is part of its line: where only line ends change, that is seen.
    """
    from difflib import unified_diff

    for line in unified_diff(_lines(before), _lines(after), name, name):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield _NO_NEWLINE


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    ended = [f"{line}\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended
