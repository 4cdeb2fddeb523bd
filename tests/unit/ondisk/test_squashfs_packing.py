"""Where fragments end depends on what stands nearby, and on nothing far away."""

from __future__ import annotations

import hashlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.ondisk.squashfs.packing import cut, pack
from kiwilite.ondisk.squashfs.tree import RegularFile

MOST = 1000
SIZES = st.lists(st.integers(1, MOST), max_size=200)


def weights(count: int) -> list[bytes]:
    return [hashlib.sha256(b"%d" % n).digest() for n in range(count)]


@settings(deadline=None)
@given(SIZES)
def test_runs_hold_everything_once_and_never_too_much(sizes: list[int]) -> None:
    runs = list(cut(sizes, weights(len(sizes)), MOST))
    assert [n for begin, end in runs for n in range(begin, end)] == list(range(len(sizes)))
    assert all(begin < end and sum(sizes[begin:end]) <= MOST for begin, end in runs)


def test_runs_are_well_filled() -> None:
    chance = random.Random(3)
    sizes = [chance.randrange(1, MOST // 8) for _ in range(5000)]
    runs = list(cut(sizes, weights(len(sizes)), MOST))
    assert sum(sizes) >= 0.7 * MOST * len(runs)


def members(sizes: list[int], names: list[int]) -> set[tuple[tuple[int, int], ...]]:
    marks = [hashlib.sha256(b"%d" % n).digest() for n in names]
    rows = list(zip(names, sizes, strict=True))
    return {tuple(rows[begin:end]) for begin, end in cut(sizes, marks, MOST)}


def test_a_file_that_grows_comes_or_goes_changes_few_runs() -> None:
    chance = random.Random(4)
    names = list(range(3000))
    sizes = [chance.randrange(1, MOST // 8) for _ in names]
    before = members(sizes, names)
    changed = []
    for place in range(50, 3000, 180):
        grown = [*sizes]
        grown[place] = MOST // 8
        gone = sizes[:place] + sizes[place + 1 :], names[:place] + names[place + 1 :]
        come = [*sizes[:place], 90, *sizes[place:]], [*names[:place], 9999, *names[place:]]
        for after in (members(grown, names), members(*gone), members(*come)):
            changed.append(len(after - before))
    assert len(before) > 150
    assert sum(changed) / len(changed) < 3
    assert max(changed) <= 16


def test_a_change_of_content_alone_changes_one_block() -> None:
    files = [RegularFile(b"%05d" % n, 100 + n % 37) for n in range(500)]
    digests = [(hashlib.sha256(f.path).digest(),) for f in files]
    before = pack(files, digests, 4096)
    digests[250] = (bytes(32),)
    after = pack(files, digests, 4096)
    different = [a for a, b in zip(before.blocks, after.blocks, strict=True) if a.key != b.key]
    assert len(different) == 1
    assert b"00250" in {extent.path for extent, _ in different[0].extents}
