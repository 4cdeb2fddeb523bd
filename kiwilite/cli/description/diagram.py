"""The commands of `kiwilite description`: diagram."""

from __future__ import annotations

from typing import Any

from kiwilite.errors import UsageError


def diagram(found: dict[str, Any]) -> int:
    """Not there yet."""
    raise UsageError("not there yet")
