"""Which partitions the MBR shows, as a description asks for them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from plan_samples import x86

from kiwilite.description.model import HybridEntry, ImageType, Span
from kiwilite.plan.disk import partitions
from kiwilite.plan.hybrid import hybrid_rows
from kiwilite.plan.image_steps import HybridRow

APPLIANCE = x86()
PARTITIONS = partitions(APPLIANCE)
PLAIN = dataclasses.replace(APPLIANCE.type, gpt_hybrid_mbr=False, bios=False, hybrid=())


def entry(partition: str, mbr_type: int | None = None, *, active: bool = False) -> HybridEntry:
    return HybridEntry(partition, mbr_type, active, Span(Path("appliance.kiwi"), 7, 3))


def wanting(*entries: HybridEntry) -> ImageType:
    return dataclasses.replace(PLAIN, hybrid=entries)


def test_a_disk_without_the_attribute_shows_nothing() -> None:
    assert hybrid_rows(PLAIN, PARTITIONS) == ()


def test_the_default_is_the_first_three_as_kiwi_has_it_none_active() -> None:
    kind = dataclasses.replace(PLAIN, gpt_hybrid_mbr=True)
    rows = hybrid_rows(kind, PARTITIONS)
    assert [(r.partition, r.active) for r in rows] == [(p.name, False) for p in PARTITIONS[:3]]
    assert [r.type for r in rows] == [0x83, 0xEF, 0x83]


def test_for_a_bios_the_default_has_p_legacy_active() -> None:
    kind = dataclasses.replace(PLAIN, gpt_hybrid_mbr=True, bios=True)
    assert [r.active for r in hybrid_rows(kind, PARTITIONS)] == [True, False, False]


def test_a_list_is_taken_in_its_order_with_types_that_fit_where_none_is_given() -> None:
    kind = wanting(entry("p.lxreadonly", 0x0C), entry("p.UEFI", active=True), entry("home"))
    assert hybrid_rows(kind, PARTITIONS) == (
        HybridRow("p.lxreadonly", 0x0C, False),
        HybridRow("p.UEFI", 0xEF, True),
        HybridRow("home", 0x83, False),
    )
