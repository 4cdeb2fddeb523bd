"""`image verify` has nothing to say of a good image, and finds and places every fault."""

from __future__ import annotations

import itertools
import os

import pytest
import tiny_appliance
import verify_faults
from verify_checks import checked, flips, misplaced
from verify_faults import Built, Fault

from kiwilite.inspect.checked import Scope
from kiwilite.inspect.findings import Severity
from kiwilite.inspect.regions import State
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


def test_there_is_nothing_to_say_of_a_good_image(good: Report) -> None:
    assert [f for f in good.findings if f.severity is not Severity.NOTE] == []
    assert good.verdict is Verdict.SOUND


def test_every_byte_of_a_good_image_is_checked_or_unallocated(built: Built, good: Report) -> None:
    regions = good.regions
    assert (regions[0].start, regions[-1].end) == (0, built.raw.stat().st_size)
    assert all(a.end == b.start for a, b in itertools.pairwise(regions))
    assert {r.state for r in regions} <= {State.CHECKED, State.UNALLOCATED}


def test_every_chosen_fault_is_found_and_placed(built: Built) -> None:
    assert len(verify_faults.faults(built)) >= 30
    assert not list(misplaced(built, verify_faults.faults(built), scoped=True))
    assert checked(built.raw).verdict is Verdict.SOUND  # all of them are undone


@pytest.mark.soak
def test_every_chosen_fault_is_found_by_a_whole_check_too(built: Built) -> None:
    assert not list(misplaced(built, verify_faults.faults(built), scoped=False))


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
