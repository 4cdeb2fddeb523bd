"""Names of the partitions that nobody has to describe, as KIWI has them."""

from __future__ import annotations

from typing import Final

LEGACY: Final = "p.legacy"
ESP: Final = "p.UEFI"
READ_ONLY: Final = "p.lxreadonly"
READ_WRITE: Final = "p.lxroot"
