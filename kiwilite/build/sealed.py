"""What of a disk's seal is known from an earlier disk, whose partitions have the same contents.

After most changes all partitions but one are as they were, and to read and to sum them again
takes longer than to write them. Beside a disk stands what its seal was made from:

    sealed    SHA-256 (hex) of what follows, a line feed, and JSON: for each partition
              "contents": SHA-256 of the manifests of the results in it, in order,
              "size": bytes of the partition,
              "parts": offset in the partition, length, and digest (hex) of each part

A manifest has a digest of every file, so partitions of one size with the same manifests have
the same bytes, and so the same parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from kiwilite.build import manifest
from kiwilite.build.summed import with_sum, without_sum
from kiwilite.ondisk import seal
from kiwilite.plan.image_steps import SEALED

_MOST: Final = 8
"""Disks that are looked at; they come from the newest on."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A partition with contents."""

    contents: tuple[str, ...]
    """SHA-256 of the manifests of the results in it."""
    size: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """The digests of a partition's parts, by offset in the partition and length."""

    digests: Mapping[tuple[int, int], bytes]

    @property
    def used(self) -> tuple[int, ...]:
        """Offsets of the blocks that are not all zeros."""
        return tuple(at for (at, _), digest in self.digests.items() if digest != seal.NOTHING)


def identity(outputs: Iterable[Path]) -> tuple[str, ...] | None:
    """What tells the contents of these results; None where one has no manifest."""
    try:
        return tuple(manifest.identity(out.parent) for out in outputs)
    except OSError:
        return None


def known(earlier: Sequence[Path], filled: Mapping[str, Filled]) -> dict[str, Sealed]:
    """The parts of those partitions that a disk of `earlier` had with the same contents.

    Only where every part with anything in it is a block of its own: of longer parts nobody
    can tell which of their blocks have something in them.
    """
    found: dict[str, Sealed] = {}
    for folder in earlier[:_MOST]:
        rows = _read(folder)
        for name, wanted in filled.items():
            row = rows.get(name)
            if name in found or row is None or Filled(*row[:2]) != wanted:
                continue
            digests = {(at, length): bytes.fromhex(digest) for at, length, digest in row[2]}
            if all(n <= seal.BLOCK or d == seal.NOTHING for (_, n), d in digests.items()):
                found[name] = Sealed(digests)
        if len(found) == len(filled):
            break
    return found


def _read(folder: Path) -> dict[str, tuple[tuple[str, ...], int, Any]]:
    """What a disk says of its partitions; nothing where that is not as it was written."""
    try:
        body = without_sum((folder / SEALED).read_bytes())
    except OSError:
        return {}
    rows = json.loads(body) if body is not None else {}
    return {n: (tuple(row["contents"]), row["size"], row["parts"]) for n, row in rows.items()}


def write(
    folder: Path,
    filled: Mapping[str, Filled],
    starts: Mapping[str, int],
    parts: Sequence[seal.Part],
) -> None:
    """Note in `folder` what the seal of this disk says of partitions with contents."""
    rows: dict[str, dict[str, Any]] = {n: {**asdict(one), "parts": []} for n, one in filled.items()}
    for part in parts:
        if part.name in rows:
            at = part.start - starts[part.name]
            rows[part.name]["parts"].append((at, part.length, part.digest.hex()))
    (folder / SEALED).write_bytes(with_sum(json.dumps(rows).encode()))
