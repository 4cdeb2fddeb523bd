"""Copies have the same bytes and the same holes, on one file system and across two."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiwilite.ondisk.sparse import CANNOT_SHARE, CHUNK, copy_sparse

BLOCK = 4096
EXTENTS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 3 * BLOCK)), max_size=5)


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A file of another file system."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        pytest.skip("there is no second file system to write to")
    path = memory / f"kiwilite-test-{os.getpid()}"
    yield path
    path.unlink(missing_ok=True)


def write(path: Path, extents: list[tuple[int, int]]) -> bytes:
    with path.open("wb") as stream:
        stream.truncate(70 * BLOCK)
        for number, (block, length) in enumerate(extents):
            stream.seek(block * BLOCK)
            stream.write(bytes([number + 1]) * length)
    return path.read_bytes()


def copied(source: Path, target: Path, offset: int) -> bytes:
    with target.open("wb") as stream:
        stream.truncate(offset + source.stat().st_size)
        copy_sparse(source, stream, offset)
    return target.read_bytes()


@given(EXTENTS, st.integers(0, 9) | st.just(BLOCK))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_bytes_are_the_same(tmp_path: Path, extents: list[tuple[int, int]], at: int) -> None:
    content = write(tmp_path / "source", extents)
    assert copied(tmp_path / "source", tmp_path / "target", at) == bytes(at) + content


def test_to_another_file_system_too(tmp_path: Path, elsewhere: Path) -> None:
    content = write(tmp_path / "source", [(0, 5), (40, BLOCK)])
    assert copied(tmp_path / "source", elsewhere, 7) == bytes(7) + content


@pytest.mark.parametrize("number", CANNOT_SHARE)
def test_where_blocks_cannot_be_shared_they_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "copy_file_range", refuse)
    content = write(tmp_path / "source", [(0, 5), (3, CHUNK // 8)])
    assert copied(tmp_path / "source", tmp_path / "target", 7) == bytes(7) + content


def test_a_full_disk_is_told_and_not_worked_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "copy_file_range", full)
    write(tmp_path / "source", [(0, 5)])
    with pytest.raises(OSError, match="No space left"):
        copied(tmp_path / "source", tmp_path / "target", 0)


def test_holes_stay_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as stream:
        stream.truncate(64 << 20)
        stream.seek(32 << 20)
        stream.write(b"x" * BLOCK)
    if source.stat().st_blocks * 512 > 1 << 20:
        pytest.skip("this file system keeps no holes")
    copied(source, target, 0)
    assert target.stat().st_blocks * 512 < 1 << 20
