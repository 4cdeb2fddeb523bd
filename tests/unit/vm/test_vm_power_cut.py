"""What must be found after a power cut: nothing that was synced may miss unnoticed."""

from __future__ import annotations

import pytest
from power_cut import LINES, SLOTS, STEPS, Found, checksum, missing


def after(steps: int, first: int = 1) -> tuple[dict[int, str], list[int]]:
    """Files and the ledger's slots when all steps from `first` on were done."""
    files: dict[int, str] = {}
    slots = [0] * SLOTS
    for step in range(first, first + steps):
        files[step] = checksum(step)
        slots[step % SLOTS] = step
        if step % 3 == 0:
            files.pop(step - 3, None)
    return files, slots


def found(files: dict[int, str], slots: list[int]) -> Found:
    return Found(files, tuple((LINES, step) for step in slots))


@pytest.mark.parametrize("first", [1, STEPS + 1])
@pytest.mark.parametrize("steps", range(1, STEPS + 1))
def test_all_that_was_synced_is_enough(first: int, steps: int) -> None:
    mark = first + steps - 1
    assert missing(found(*after(steps, first)), mark, first) == []
    if steps < STEPS:  # of the step after the mark, all or nothing
        assert missing(found(*after(steps + 1, first)), mark, first) == []


def test_a_lost_a_wrong_and_a_returned_file_are_found() -> None:
    files, slots = after(10)
    assert missing(found(files | {10: checksum(9)}, slots), 10) == ["file 10 is wrong"]
    assert missing(found(files | {3: checksum(3)}, slots), 10) == ["file 3 is still there"]
    assert missing(found(files | {12: checksum(12)}, slots), 10) == ["file 12 was never synced"]
    assert missing(found({n: c for n, c in files.items() if n != 10}, slots), 10) == [
        "file 10 is gone"
    ]
    assert missing(Found(None, ()), 10) == ["all files"]


def test_a_lost_overwrite_is_found() -> None:
    files, slots = after(20)
    assert missing(found(files, slots[:4] + [4] + slots[5:]), 20) != []  # step 20 was in slot 4
    half = Found(files, tuple(found(files, slots).ledger[:-1]) + ((LINES - 1, slots[-1]),))
    assert missing(half, 20) != []


def test_only_the_slot_under_way_may_be_half_written() -> None:
    files, slots = after(20)
    ledger = list(found(files, slots).ledger)
    ledger[5:6] = [(20, 21), (LINES - 20, 5)]
    assert missing(Found(files, tuple(ledger)), 20) == []
    ledger = list(found(files, slots).ledger)
    ledger[6:7] = [(20, 22), (LINES - 20, 6)]
    assert missing(Found(files, tuple(ledger)), 20) != []


def test_the_guests_words_are_understood() -> None:
    text = f"{checksum(1)}  1\n     57 slot 0000000000\n      3 slot 0000000001\nfiles: end\n"
    assert Found.read(text) == Found({1: checksum(1)}, ((57, 0), (3, 1)))
    assert Found.read("files: none\n").files is None
