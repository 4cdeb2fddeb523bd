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

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from kiwilite.build import manifest

FILE = "sums"


def known(entry: Path) -> Mapping[str, str]:
    """Name → sum of the files whose sums were noted; a note that is damaged says nothing."""
    try:
        head, _, body = (entry / FILE).read_bytes().partition(b"\n")
        if head.decode(errors="replace") != hashlib.sha256(body).hexdigest():
            return {}
        found = json.loads(body)
        if found["manifest"] != _manifest(entry):
            return {}
    except OSError:
        return {}
    sums: dict[str, str] = found["sums"]
    return sums


def noted(entry: Path, sums: Mapping[str, str]) -> str:
    """What the file has to say. Raises OSError where the entry is gone."""
    body = json.dumps({"manifest": _manifest(entry), "sums": {**known(entry), **sums}})
    return f"{hashlib.sha256(body.encode()).hexdigest()}\n{body}"


def _manifest(entry: Path) -> str:
    return hashlib.sha256((entry / manifest.FILE).read_bytes()).hexdigest()
