"""What a check of an image comes down to: one word, and the bytes that nothing vouches for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from kiwilite.inspect.findings import Finding, Place, Severity, note
from kiwilite.inspect.regions import Region, State

JOURNAL: Final = "integrity journal"
KEYSLOT: Final = "keyslot without its passphrase"
VOLUME: Final = "content (Luks)"
FEC: Final = "error correction data, which are not computed anew"

_SEAL: Final = "only a seal that still holds could tell: the disk has none, or has changed since"
_REMEDIES: Final = {
    VOLUME: "a key checks it: --key-file or --passphrase-file",
    KEYSLOT: "the key of this keyslot checks it: --key-file or --passphrase-file, once for each",
    FEC: f"wrong ones repair nothing, and cannot make a wrong block pass; {_SEAL}",
    JOURNAL: f"nothing in the format does but for its commit ids; {_SEAL}",
}


class Verdict(Enum):
    """From good to bad; the worst that is true counts."""

    SOUND = "sound"
    """Every byte that is in use was checked, and there are notes at most."""
    INCOMPLETE = "incomplete"
    """Nothing wrong was found, but there are bytes in use that nothing vouches for."""
    WARNINGS = "warnings"
    """A change, or something unexpected, and no damage."""
    ERRORS = "errors"


@dataclass(frozen=True, slots=True)
class Unchecked:
    """Bytes in use that no check covers, all of a part and a reason; `remedy` would check them."""

    place: Place
    """From the first to the last of them; there may be others between."""
    size: int
    why: str
    remedy: str

    def note(self) -> Finding:
        """As a finding."""
        what = f"{self.size} bytes that nothing in the image vouches for: {self.why}"
        return note(self.place, what, self.remedy)


def unchecked(regions: Sequence[Region]) -> Iterator[Unchecked]:
    """What a map of the whole disk leaves open."""
    rows: dict[tuple[str, str], list[Region]] = {}
    for region in regions:
        if region.state is State.UNCHECKED:
            rows.setdefault((region.part, region.by), []).append(region)
    for (part, by), group in rows.items():
        total = sum(r.end - r.start for r in group)
        place = Place(part, group[0].start, group[-1].end)
        yield Unchecked(place, total, by, _REMEDIES.get(by, _SEAL))


def verdict(findings: Iterable[Finding], open_: Iterable[Unchecked]) -> Verdict:
    """The worst of it."""
    severities = {f.severity for f in findings}
    if Severity.ERROR in severities:
        return Verdict.ERRORS
    if Severity.WARNING in severities:
        return Verdict.WARNINGS
    return Verdict.INCOMPLETE if any(True for _ in open_) else Verdict.SOUND
