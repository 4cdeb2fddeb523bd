"""Whether a build may use the network."""

from __future__ import annotations

from typing import Literal

Network = Literal["online", "offline"]
"""Offline, steps run where there is no network."""
