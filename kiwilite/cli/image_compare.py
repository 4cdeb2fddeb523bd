"""`kiwilite image compare`: two images byte by byte; and what differs, on the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kiwilite.inspect.compare import PartDifference, compare
from kiwilite.inspect.difference import Difference
from kiwilite.inspect.source import opened


def compare_images(one: Path, other: Path, output_format: str) -> int:
    """Print where two images differ; 0 where they do not, else 1."""
    with opened(one) as disk, opened(other) as disk_other:
        found = compare(disk, disk_other)
    if output_format == "json":
        parts = [part_data(part) for part in found.parts]
        print(json.dumps({"same": found.is_same, "sizes": found.sizes, "parts": parts}, indent=1))
    else:
        for line in part_lines(found.parts):
            print(line)
        print(f"{one.name} and {other.name}: {'the same' if found.is_same else 'not the same'}")
    return 0 if found.is_same else 1


def part_lines(parts: Sequence[PartDifference]) -> Iterator[str]:
    """Lines for all parts that differ."""
    for part in parts:
        one, other = part.sizes
        size = f"{one} bytes" if one == other else f"{one} and {other} bytes"
        meant = ", as it is meant to" if part.on_purpose else ""
        yield f"{part.part}: {part.differing} of {size} differ{meant}"
        for difference in part.named:
            yield from (f"  {line}" for line in _lines(difference))
        if part.further:
            yield f"  and {part.further} more"


def _lines(difference: Difference) -> Iterator[str]:
    subject = f"{difference.path}: " if difference.path else ""
    places = []
    if difference.within is not None:
        places.append(f"byte {difference.within} of it")
    if difference.at is not None:
        places.append(f"byte {difference.at} of the image")
    yield f"{subject}{difference.what}{', from ' if places else ''}{', '.join(places)}"
    for side in (difference.one, difference.other):
        if difference.one or difference.other:
            text = "".join(chr(b) if 0x20 <= b < 0x7F else "." for b in side)
            yield f"  {side.hex(' '):47}  {text}"


def part_data(part: PartDifference) -> dict[str, Any]:
    """A part that differs, for JSON: bytes as hexadecimal digits."""
    return {
        "part": part.part,
        "differing": part.differing,
        "sizes": part.sizes,
        "on_purpose": part.on_purpose,
        "differences": [
            {
                "path": d.path,
                "what": d.what,
                "offset": d.at,
                "offset_in_file": d.within,
                "first": d.one.hex(),
                "second": d.other.hex(),
            }
            for d in part.named
        ],
        "further": part.further,
    }
