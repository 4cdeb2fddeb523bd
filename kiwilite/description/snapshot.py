"""Addresses of repositories that keep the past: where the time stands in them."""

from __future__ import annotations

from typing import Final

PLACE: Final = "{snapshot}"


def at_time(address: str, time: str) -> str:
    """`address` with `time`, such as 20260101T000000Z, in its place."""
    return address.replace(PLACE, time)
