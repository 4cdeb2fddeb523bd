"""What `kiwilite doctor` finds: one value per thing it looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What a finding means for builds."""

    FINE = "ok"
    LACKING = "warning"
    """Builds work; something beside them does not."""
    BROKEN = "missing"
    """Builds do not work."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    `found` is its version or state, `purpose` what it is needed for, `package` the Debian
    package that has it, `remedy` what to do (a command where one does it).
    """

    group: str
    name: str
    verdict: Verdict
    found: str
    purpose: str = ""
    package: str | None = None
    remedy: str | None = None


def status(findings: Iterable[Finding]) -> Verdict:
    """The worst verdict."""
    order = (Verdict.FINE, Verdict.LACKING, Verdict.BROKEN)
    return max((f.verdict for f in findings), key=order.index, default=Verdict.FINE)


def packages_to_install(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Debian packages that bring what is lacking."""
    wanted = {f.package for f in findings if f.verdict is not Verdict.FINE and f.package}
    return tuple(sorted(wanted))
