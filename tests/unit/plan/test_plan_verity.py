"""How the settings of `<verity>` become steps, partitions and records."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from plan_samples import plan_of, x86

from kiwilite.description.model import Appliance
from kiwilite.plan import disk as d
from kiwilite.plan import steps as s
from kiwilite.plan.nodes import Plan
from kiwilite.plan.references import Source
from kiwilite.plan.verity import VerityNotPossible


def changed(
    *, blocks: str = "all", metadata: bool = False, sectors: int = 512, **settings: Any
) -> Appliance:
    """The reference appliance with other settings."""
    appliance = x86()
    overlay = appliance.type.overlay
    assert overlay is not None
    other = replace(
        overlay,
        verity_blocks=blocks,
        embed_verity_metadata=metadata,
        verity=replace(overlay.verity, **settings),
    )
    kind = replace(appliance.type, overlay=other, target_blocksize=sectors)
    return replace(appliance, type=kind)


def contents(plan: Plan) -> dict[str, list[str]]:
    step = plan.node("disk").step
    assert isinstance(step, s.Disk)
    return {name: [o.step for o in outputs] for name, outputs in step.contents}


def uki(plan: Plan) -> s.Uki:
    step = plan.node("uki").step
    assert isinstance(step, s.Uki)
    return step


@pytest.mark.parametrize("roots", [None, 2])
def test_an_appended_tree_stands_behind_its_squashfs(roots: int | None) -> None:
    plan = plan_of(changed(hash_tree="appended", fec_roots=roots))
    parity = [] if roots is None else ["root-fec"]
    assert contents(plan)["p.lxreadonly"] == ["root", "root-verity", *parity]
    assert "p.lxreadonly-verity" not in [p.name for p in plan.partitions]
    assert all(t.hash_partuuid is None for t in uki(plan).verity)


def test_every_squashfs_gets_a_partition_for_its_tree() -> None:
    appliance = changed(hash_tree="partition", fec_roots=4)
    plan = plan_of(appliance)
    found = contents(plan)
    assert found["p.lxreadonly"] == ["root"]
    assert found["p.lxreadonly-verity"] == ["root-verity", "root-fec"]
    assert found["oci-preloaded"] == ["oci-preloaded"]
    assert found["oci-preloaded-verity"] == ["oci-preloaded-verity", "oci-preloaded-fec"]
    names = [p.name for p in plan.partitions]
    for name in ("p.lxreadonly", "oci-preloaded"):
        assert names.index(f"{name}-verity") == names.index(name) + 1
        tree = plan.partitions[names.index(f"{name}-verity")]
        assert tree.size.kind == "content"
    guids = {p.name: p.unique_guid for p in plan.partitions}
    rows = [(t.partuuid, t.hash_partuuid, t.fec_roots) for t in uki(plan).verity]
    assert rows == [
        (guids["p.lxreadonly"], guids["p.lxreadonly-verity"], 4),
        (guids["oci-preloaded"], guids["oci-preloaded-verity"], 4),
    ]


def test_the_settings_reach_every_tree_and_the_policy() -> None:
    plan = plan_of(
        changed(
            algorithm="sha512", salt="AB00", data_block_size=1024, hash_block_size=1024,
            on_corruption="panic",
        )
    )  # fmt: skip
    for name in ("root-verity", "oci-preloaded-verity"):
        step = plan.node(name).step
        assert isinstance(step, s.Verity)
        assert (step.algorithm, step.salt) == ("sha512", "ab00")
        assert (step.data_block_size, step.hash_block_size) == (1024, 1024)
    assert uki(plan).on_corruption == "panic"
    boot = plan.node("boot-files").step
    assert isinstance(boot, s.BootFiles)
    assert boot.hash_algorithm == "sha512"


def test_without_a_salt_each_tree_has_one_of_its_own() -> None:
    plan = plan_of(changed())
    steps = [plan.node(n).step for n in ("root-verity", "oci-preloaded-verity")]
    salts = {step.salt for step in steps if isinstance(step, s.Verity)}
    assert len(salts) == 2


def test_only_the_root_gets_the_blocks_and_the_metadata_block_of_the_description() -> None:
    appliance = changed(blocks="1234", metadata=True, metadata_key="file://keys/metadata.pem")
    plan = plan_of(appliance)
    root, other = plan.node("root-verity").step, plan.node("oci-preloaded-verity").step
    assert isinstance(root, s.Verity) and isinstance(other, s.Verity)
    assert (root.data_blocks, other.data_blocks) == (1234, None)
    overlay = appliance.type.overlay
    assert overlay is not None and root.where == str(overlay.verity_blocks_span)
    metadata = plan.node("root-metadata").step
    assert isinstance(metadata, s.VerityMetadata)
    assert metadata.key == Source(appliance.directory / "keys/metadata.pem")
    disk = plan.node("disk").step
    assert isinstance(disk, s.Disk)
    assert [(name, o.step) for name, o in disk.tails] == [(d.READ_ONLY, "root-metadata")]
    assert [t.metadata for t in uki(plan).verity] == [True, False]


def test_error_correction_needs_blocks_of_one_size() -> None:
    appliance = changed(fec_roots=2, data_block_size=1024)
    with pytest.raises(VerityNotPossible, match="one size, not 1024 and 4096") as caught:
        plan_of(appliance)
    overlay = appliance.type.overlay
    assert overlay is not None and caught.value.where == str(overlay.verity.span)


def test_blocks_smaller_than_a_sector_are_refused() -> None:
    with pytest.raises(VerityNotPossible, match="sectors of 4096"):
        plan_of(changed(sectors=4096, hash_block_size=2048))
    plan_of(changed(sectors=4096))


def test_dracut_is_chosen_by_name_and_gets_the_descriptions_configuration() -> None:
    appliance = x86()
    configured = replace(appliance, dracut_configuration=(appliance.directory / "root",))
    boot = plan_of(configured).node("boot-files").step
    assert isinstance(boot, s.BootFiles)
    assert (boot.initrd_system, boot.dracut_configuration) == ("kiwilite", ())
    kind = replace(appliance.type, initrd_system="dracut")
    boot = plan_of(replace(configured, type=kind)).node("boot-files").step
    assert isinstance(boot, s.BootFiles)
    assert boot.initrd_system == "dracut"
    assert boot.dracut_configuration == (Source(appliance.directory / "root"),)
