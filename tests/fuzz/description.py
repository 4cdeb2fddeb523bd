"""Coverage-guided fuzzing of everything between the bytes of a description and its answer.

    python tests/fuzz/description.py [-max_total_time=60] [CORPUS]

Arguments are libFuzzer's. A crash is any exception but DescriptionInvalid, a diagnostic
without a place in the file, or an input that takes longer than -timeout.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["kiwilite.description"]):
    from kiwilite.description.diagnostics import DescriptionInvalid
    from kiwilite.description.load import load

FOLDER = Path(tempfile.mkdtemp(prefix="kiwilite-fuzz-", dir="/dev/shm"))
FILE = FOLDER / "appliance.kiwi"


def one(raw: bytes) -> None:
    """Load `raw` as a description; it may be wrong, and is told where."""
    FILE.write_bytes(raw)
    try:
        _, found = load(FILE, arch="x86_64")
    except DescriptionInvalid as error:
        found = error.diagnostics
        assert any(d.severity == "error" for d in found)
    lines = raw.count(b"\n") + raw.count(b"\r") + 1
    assert all(1 <= d.span.line <= lines and d.span.column >= 1 for d in found)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
