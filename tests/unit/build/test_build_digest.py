"""Sums are those of sha256sum, whatever of a file is a hole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kiwilite.build.digest import digest_file

MIB = 1 << 20


@pytest.mark.parametrize(
    ("size", "pieces"),
    [
        (0, {}),
        (1, {}),
        (5, {0: b"hello"}),
        (3 * MIB + 17, {}),
        (3 * MIB + 17, {0: b"start"}),
        (3 * MIB + 17, {MIB + 5: b"x" * MIB}),
        (3 * MIB + 17, {0: b"start", 2 * MIB: b"y" * 70000, 3 * MIB + 12: b"the e"}),
    ],
)
def test_a_sparse_file_has_the_sum_of_all_its_bytes(
    tmp_path: Path, size: int, pieces: dict[int, bytes]
) -> None:
    path = tmp_path / "file"
    with path.open("wb") as stream:
        stream.truncate(size)
        for offset, data in pieces.items():
            stream.seek(offset)
            stream.write(data)
    assert digest_file(path) == hashlib.sha256(path.read_bytes()).hexdigest()
