"""The SHA-256 of whole files of a result, kept beside it for the next time it is published.

The manifest's digests leave out zeros, which is what makes them cheap; a sum that `sha256sum`
gives has to go over every zero of a disk.

    entries/KEY/sums    SHA-256 (hex) of what follows, a line feed, and as JSON:
                        "manifest": SHA-256 of the manifest these sums belong to,
                        "sums": name of a file directly in the result → its SHA-256

So they say as much of the files as the manifest does, and of files that are not as they were
made, nothing: `vetting` has to be asked as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kiwilite.build import manifest
from kiwilite.build.summed import with_sum, without_sum

FILE = "sums"


def known(entry: Path) -> Mapping[str, str]:
    """Name → sum of the files whose sums were noted; a note that is damaged says nothing."""
    try:
        body = without_sum((entry / FILE).read_bytes())
        found = json.loads(body) if body is not None else {}
        if not found or found["manifest"] != manifest.identity(entry):
            return {}
    except OSError:
        return {}
    sums: dict[str, str] = found["sums"]
    return sums


def noted(entry: Path, sums: Mapping[str, str]) -> str:
    """What the file has to say. Raises OSError where the entry is gone."""
    body = json.dumps({"manifest": manifest.identity(entry), "sums": {**known(entry), **sums}})
    return with_sum(body.encode()).decode()
