"""Where a command's answer goes, if not to the terminal."""

from __future__ import annotations

from pathlib import Path

from kiwilite.errors import KiwiliteError


def save(name: str, text: str) -> None:
    """Write `text` to the file of `--output`; KiwiliteError where that is not possible."""
    try:
        Path(name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise KiwiliteError(f"cannot be written: {error.strerror}", where=name) from error
