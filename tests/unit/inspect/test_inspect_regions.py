"""The region map covers every byte of a disk once, whatever the checks claim."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from kiwilite.inspect.regions import Region, State, region_map, state_at

SIZE = 64


@st.composite
def claims(draw: st.DrawFn) -> list[Region]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, SIZE),
                st.integers(0, SIZE),
                st.sampled_from(State),
                st.integers(0, 3),
            ),
            max_size=12,
        )
    )
    return [Region(min(a, b), max(a, b), state, f"p{n}", f"by {n}") for a, b, state, n in rows]


@settings(deadline=None)
@given(claims())
def test_regions_stand_side_by_side_from_the_first_byte_to_the_last(some: list[Region]) -> None:
    regions = region_map(some, SIZE)
    assert regions[0].start == 0
    assert regions[-1].end == SIZE
    assert all(a.end == b.start for a, b in itertools.pairwise(regions))
    assert all(r.start < r.end for r in regions)


@settings(deadline=None)
@given(claims(), st.integers(0, SIZE - 1))
def test_the_best_claim_of_a_byte_counts(some: list[Region], byte: int) -> None:
    order = list(State)
    here = [c.state for c in some if c.start <= byte < c.end]
    best = min(here, key=order.index, default=State.UNCHECKED)
    assert state_at(region_map(some, SIZE), byte) is best


def test_of_equal_claims_the_first_names_the_check() -> None:
    first = Region(0, 8, State.CHECKED, "p", "hash tree")
    second = Region(4, 12, State.CHECKED, "p", "seal")
    regions = region_map([first, second], 12)
    assert [(r.start, r.end, r.by) for r in regions] == [(0, 8, "hash tree"), (8, 12, "seal")]
