"""`image verify` has nothing to say of a good image, and finds and places every fault."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_appliance
import verify_faults
from verify_faults import Built, Fault

from kiwilite.inspect.checked import Scope
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.regions import Region, State, state_at
from kiwilite.inspect.source import opened
from kiwilite.inspect.verdict import Verdict
from kiwilite.inspect.verify import Given, Report, verify

pytestmark = pytest.mark.build

TYPE = (
    'luks="embedded-secret" luks_version="luks2" luks_unlock="embedded" provisioning="build"'
    ' gpt_hybrid_mbr="true" eficsm="true" embed_verity_metadata="true"'
)
PARTITIONS = """<partitions>
    <partition name="home" size="64M" mountpoint="/home" filesystem="ext4"/>
    <partition name="loaded" size="8M" mountpoint="/opt" filesystem="squashfs"/>
</partitions>"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A tiny image with everything in it that can break."""
    appliance = tiny_appliance.make(tmp_path_factory.mktemp("verify"))
    appliance.change('overlayroot_write_partition="false"', TYPE)
    appliance.change('timeout="0"/>', f'timeout="0"/>{PARTITIONS}')
    kmod = '<package name="kmod"/>'
    appliance.change(kmod, f'{kmod}<package name="grub-pc-bin"/>')
    said = appliance.build()
    assert said.status == 0, said.err
    return Built.at(appliance.target)


@pytest.fixture(scope="module")
def good(built: Built) -> Report:
    with opened(built.raw) as disk:
        return verify(disk, Given())


def checked(raw: Path, scope: Scope | None = None) -> Report:
    """The image's report; with a scope, work that reads much is done there only."""
    with opened(raw) as disk:
        return verify(disk, Given(), scope)


def span(report: Report, offset: int, part: str | None = None) -> int | None:
    """Length of the narrowest finding that takes in a byte; None if there is none."""
    places = [
        place
        for finding in report.findings
        if finding.severity is not Severity.NOTE
        for place in (finding.place, *finding.also)
        if place.overlaps(offset, offset + 1) and part in (None, place.part)
    ]
    return min((place.end - place.start for place in places), default=None)


def test_there_is_nothing_to_say_of_a_good_image(good: Report) -> None:
    assert [f for f in good.findings if f.severity is not Severity.NOTE] == []
    assert good.verdict is Verdict.SOUND


def test_every_byte_of_a_good_image_is_checked_or_unallocated(built: Built, good: Report) -> None:
    regions = good.regions
    assert (regions[0].start, regions[-1].end) == (0, built.raw.stat().st_size)
    assert all(a.end == b.start for a, b in itertools.pairwise(regions))
    assert {r.state for r in regions} <= {State.CHECKED, State.UNALLOCATED}


def misplaced(built: Built, scoped: bool) -> Iterator[str]:
    """The chosen faults, one at a time: those that are not found where they are."""
    for fault in verify_faults.faults(built):
        end = fault.offset + len(fault.content or b".")
        before = fault.damage(built.raw)
        try:
            report = checked(built.raw, Scope(fault.offset, end) if scoped else None)
        finally:
            fault.undo(built.raw, before)
        found = span(report, fault.offset, fault.part)
        if found is None or found > fault.span:
            yield f"{fault.name}: placed within {found} bytes, not {fault.span}"


def test_every_chosen_fault_is_found_and_placed(built: Built) -> None:
    assert len(verify_faults.faults(built)) >= 30
    assert not list(misplaced(built, scoped=True))
    assert checked(built.raw).verdict is Verdict.SOUND  # all of them are undone


@pytest.mark.soak
def test_every_chosen_fault_is_found_by_a_whole_check_too(built: Built) -> None:
    assert not list(misplaced(built, scoped=False))


def places(built: Built, regions: tuple[Region, ...], count: int, seed: int) -> Iterator[int]:
    """Bytes anywhere, and as many where something was written: most of a disk is empty."""
    chance = random.Random(seed)
    size = built.raw.stat().st_size
    with opened(built.raw) as disk:
        data = list(disk.data(0, size))
    for number in range(count):
        if number % 2:
            yield chance.randrange(size)
        else:
            start, end = chance.choice(data)
            yield chance.randrange(start, end)


def flips(built: Built, good: Report, count: int, seed: int) -> None:
    """Flip one bit at a time; each is found where it is, or lies in unallocated bytes."""
    wrong = []
    for offset in places(built, good.regions, count, seed):
        fault = Fault("flip", "", offset, 0)
        before = fault.damage(built.raw)
        try:
            report = checked(built.raw, Scope(offset, offset + 1))
        finally:
            fault.undo(built.raw, before)
        allocated = state_at(good.regions, offset) is not State.UNALLOCATED
        if allocated and span(report, offset) is None:
            wrong.append(f"byte {offset}: {report.findings}")
    assert not wrong, "\n".join(wrong)


def test_100_random_flips_are_found(built: Built, good: Report) -> None:
    flips(built, good, 100, 20240)


@pytest.mark.soak
def test_1000_random_flips_are_found(built: Built, good: Report) -> None:
    flips(built, good, 1000, int(os.environ.get("KIWILITE_SEED", "7")))


def test_what_a_scope_leaves_out_is_all_that_differs(built: Built) -> None:
    """The fast path is the same code: a fault is told in the same words."""
    offset = built.start("p.lxreadonly") + 50 * 4096
    fault = Fault("squashfs", "p.lxreadonly", offset, 4096)
    before = fault.damage(built.raw)
    try:
        whole = checked(built.raw)
        part = checked(built.raw, Scope(offset, offset + 1))
    finally:
        fault.undo(built.raw, before)
    loud = [f for f in whole.findings if f.severity is not Severity.NOTE]
    assert loud == [f for f in part.findings if f.severity is not Severity.NOTE]
    assert loud
