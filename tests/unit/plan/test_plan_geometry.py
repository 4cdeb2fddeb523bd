"""Partitions get their places: aligned, one behind the other, inside the disk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import partition, x86

from kiwilite.plan.disk import partitions
from kiwilite.plan.partitions import (
    ALIGNMENT,
    GPT_ENTRIES,
    MIB,
    DoesNotFit,
    Geometry,
    Partition,
    human_size,
    layout,
    round_up,
)

MEASURED = {
    "p.UEFI": 30_001_152,
    "home": 32 * MIB,
    "oci-storage": 512 * MIB,
    "oci-preloaded": 12_288,
    "p.lxreadonly": 180_002_816,
}

X86_TABLE = """\
p.legacy          1 MiB     2 MiB  21686148-6449-6e6f-744e-656564454649
p.UEFI            3 MiB    29 MiB  c12a7328-f81f-11d2-ba4b-00a0c93ec93b
home             32 MiB    32 MiB  0fc63daf-8483-4772-8e79-3d69d8477de4
oci-storage      64 MiB   512 MiB  0fc63daf-8483-4772-8e79-3d69d8477de4
oci-preloaded   576 MiB    64 MiB  0fc63daf-8483-4772-8e79-3d69d8477de4
p.lxreadonly    640 MiB   172 MiB  0fc63daf-8483-4772-8e79-3d69d8477de4
p.lxroot        812 MiB  1235 MiB  0fc63daf-8483-4772-8e79-3d69d8477de4
the disk ends  2048 MiB
"""


def dump(geometry: Geometry) -> str:
    rows = [
        f"{p.partition.name:<14} {p.start // MIB:>4} MiB  {p.size // MIB:>4} MiB"
        f"  {p.partition.type_guid}\n"
        for p in geometry.placed
    ]
    return "".join(rows) + f"the disk ends  {geometry.disk_size // MIB} MiB\n"


def place(
    rows: tuple[Partition, ...],
    measured: dict[str, int],
    disk_size: int | None = None,
    *,
    extra: int = 0,
    unpartitioned: int = 0,
) -> Geometry:
    return layout(
        rows,
        measured,
        disk_size=disk_size,
        sector_size=512,
        where="appliance.kiwi:41:13",
        extra=extra,
        unpartitioned=unpartitioned,
    )


def test_the_reference_disk_has_this_table() -> None:
    assert dump(place(partitions(x86("bootstrapped")), MEASURED, 2048 * MIB)) == X86_TABLE


def made_up(sizes: list[int], contents: list[int], rest: int | None) -> tuple[Partition, ...]:
    rows = []
    for number, (size, content) in enumerate(zip(sizes, contents, strict=True)):
        name = f"p{number}"
        if number == rest:
            rows.append(partition(name, "rest", size, number=number))
        elif number % 2:
            rows.append(partition(name, "fixed", max(size, content), number=number))
        else:
            rows.append(partition(name, "content", number=number))
    return tuple(rows)


SIZES = st.lists(
    st.tuples(st.integers(1, 600 * MIB), st.integers(0, 600 * MIB)), min_size=1, max_size=9
)


@given(SIZES, st.booleans(), st.integers(0, 5000 * MIB), st.booleans(), st.integers(0, 9 * MIB))
def test_partitions_are_aligned_and_never_overlap_and_hold_their_contents(
    pairs: list[tuple[int, int]], with_rest: bool, air: int, fixed_disk: bool, free: int
) -> None:
    rows = made_up([a for a, _ in pairs], [b for _, b in pairs], 0 if with_rest else None)
    measured = {f"p{n}": content for n, (_, content) in enumerate(pairs)}
    least = place(rows, measured, unpartitioned=free).disk_size
    size = least + air if fixed_disk else None
    geometry = place(rows, measured, size, extra=air, unpartitioned=free)
    end = ALIGNMENT
    for placed in geometry.placed:
        assert placed.start >= end
        assert placed.start % ALIGNMENT == placed.size % ALIGNMENT == 0
        assert placed.size >= max(1, measured[placed.partition.name])
        assert placed.size >= placed.partition.size.bytes
        end = placed.start + placed.size
    assert end + free + 4096 + GPT_ENTRIES <= geometry.disk_size
    assert geometry.disk_size <= least + air
    if with_rest:
        assert end + round_up(free, ALIGNMENT) + ALIGNMENT == geometry.disk_size


def test_without_a_size_the_disk_is_as_large_as_what_is_on_it() -> None:
    rows = (partition("a", "fixed", 3 * MIB), partition("b", "content"))
    assert place(rows, {"b": 5 * MIB + 1}).disk_size == (1 + 3 + 6 + 1) * MIB


def test_what_is_added_on_top_goes_to_the_rest() -> None:
    rows = (partition("a", "rest", 3 * MIB), partition("b", "content"))
    geometry = place(rows, {"b": 5 * MIB}, extra=100 * MIB)
    assert geometry.find("a").size == 103 * MIB
    assert geometry.disk_size == (1 + 103 + 5 + 1) * MIB


def test_unpartitioned_space_stays_free_at_the_end() -> None:
    rows = (partition("a", "rest", 3 * MIB),)
    last = place(rows, {}, 100 * MIB, unpartitioned=20 * MIB).find("a")
    assert last.start + last.size == (100 - 20 - 1) * MIB


def test_a_content_larger_than_its_partition_names_partition_line_and_size() -> None:
    rows = (partition("a", "content"), partition("home", "fixed", 32 * MIB, number=43))
    with pytest.raises(DoesNotFit) as caught:
        place(rows, {"home": 33 * MIB})
    error = caught.value
    assert "partition home has 32 MiB, its content needs 33 MiB" in error.message
    assert error.where == "appliance.kiwi:43:1"
    assert error.hint == "make it at least 33 MiB"


def test_a_disk_too_small_names_its_line_and_the_size_it_needs() -> None:
    rows = (partition("a", "fixed", 100 * MIB), partition("p.lxroot", "rest", 321 * MIB))
    with pytest.raises(DoesNotFit) as caught:
        place(rows, {}, 400 * MIB)
    error = caught.value
    assert "400 MiB" in error.message
    assert "423 MiB" in error.message
    assert "321 MiB is the least p.lxroot may be" in error.message
    assert error.where == "appliance.kiwi:41:13"
    assert error.hint == "make the disk at least 423 MiB"


def test_the_size_it_asks_for_is_enough_and_a_mebibyte_less_is_not() -> None:
    rows = partitions(x86())
    needed = place(rows, MEASURED).disk_size
    assert place(rows, MEASURED, needed).disk_size == needed
    with pytest.raises(DoesNotFit, match=human_size(needed - MIB)):
        place(rows, MEASURED, needed - MIB)


def test_the_disk_is_cut_down_to_whole_mebibytes() -> None:
    rows = (partition("a", "rest", MIB),)
    assert place(rows, {}, 100 * MIB + 77).disk_size == 100 * MIB


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (512 * MIB, "512 MiB"),
        (3 << 29, "1.5 GiB"),
        (5 << 40, "5.0 TiB"),
    ],
)
def test_sizes_for_people(count: int, text: str) -> None:
    assert human_size(count) == text
