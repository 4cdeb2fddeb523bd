"""The commands of `kiwilite description`: rewrite."""

from __future__ import annotations

from typing import Any

from kiwilite.errors import UsageError


def format_description(found: dict[str, Any]) -> int:
    """Not there yet."""
    raise UsageError("not there yet")


def upgrade_description(found: dict[str, Any]) -> int:
    """Not there yet."""
    raise UsageError("not there yet")
