"""Partitions and steps share one space of names; options that follow from others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from plan_samples import plan_of, x86

from kiwilite.description.rules_type import RESERVED_PARTITIONS
from kiwilite.description.table import STEPS
from kiwilite.plan.image import format_options

PARTS = ("", "-verity", "-fec", "-metadata")


@pytest.mark.parametrize("provisioning", ["build", "firstboot"])
def test_no_partition_may_be_called_like_another_step(provisioning: str) -> None:
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None and overlay.luks is not None
    luks = replace(overlay.luks, provisioning=provisioning, options=())
    overlay = replace(overlay, luks=luks, embed_verity_metadata=True)
    kind = replace(appliance.type, bios=True, overlay=overlay, format=None)
    plan = plan_of(replace(appliance, type=kind))
    partitions = {p.name + part for p in kind.partitions for part in PARTS}
    root = {f"root{part}" for part in PARTS[1:]}
    others = {node.name for node in plan.nodes} - partitions - root
    assert others <= STEPS | RESERVED_PARTITIONS


@pytest.mark.parametrize(
    ("options", "bits"),
    [
        ((("--cipher", "aegis128-random"), ("--integrity", "aead")), "128"),
        ((("--cipher", "aegis128-random"), ("--key-size", "128")), "128"),
        ((("--cipher", "aes-gcm-random"), ("--integrity", "aead")), None),
    ],
)
def test_a_key_of_the_length_that_the_cipher_has_is_asked_for(
    options: tuple[tuple[str, str], ...], bits: str | None
) -> None:
    overlay = x86().type.overlay
    assert overlay is not None and overlay.luks is not None
    found = format_options(replace(overlay.luks, options=options))
    assert dict(found).get("--key-size") == bits
    assert len(dict(found)) == len(found)
