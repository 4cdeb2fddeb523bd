"""What a boot by BIOS adds to the plan, and that it adds nothing where nobody asked."""

from __future__ import annotations

from dataclasses import replace

from plan_samples import plan_of, x86

from kiwilite.plan import steps as s
from kiwilite.plan.nodes import BIOS_BOOT, DISK, Plan

APPLIANCE = x86()


def plan_with(*, bios: bool) -> Plan:
    return plan_of(replace(APPLIANCE, type=replace(APPLIANCE.type, bios=bios)))


def test_grub_looks_for_the_esp_by_its_volume_id_and_first_where_it_is() -> None:
    plan = plan_with(bios=True)
    grub, esp = plan.node(BIOS_BOOT).step, plan.node("esp").step
    assert isinstance(grub, s.BiosBoot) and isinstance(esp, s.Esp)
    assert grub.volume_id == esp.volume_id
    assert plan.partitions[grub.esp_number - 1].name == "p.UEFI"
    assert esp.bios


def test_grub_comes_from_the_packages_before_a_script_can_remove_it() -> None:
    grub = plan_with(bios=True).node(BIOS_BOOT).step
    assert isinstance(grub, s.BiosBoot)
    assert grub.tree == s.Output("packages")


def test_the_disk_takes_grub_in() -> None:
    disk = plan_with(bios=True).node(DISK).step
    assert isinstance(disk, s.Disk)
    assert disk.bios == s.Output(BIOS_BOOT)


def test_without_it_there_is_neither_grub_nor_a_second_kernel() -> None:
    plan = plan_with(bios=False)
    disk, esp = plan.node(DISK).step, plan.node("esp").step
    assert isinstance(disk, s.Disk) and isinstance(esp, s.Esp)
    assert BIOS_BOOT not in [node.name for node in plan.nodes]
    assert disk.bios is None and not esp.bios


def test_every_file_system_gets_the_disk_s_sectors() -> None:
    kind = replace(APPLIANCE.type, target_blocksize=4096)
    steps = [node.step for node in plan_of(replace(APPLIANCE, type=kind)).nodes]
    sized = [step for step in steps if isinstance(step, s.Esp | s.FileSystem | s.Disk)]
    assert len(sized) >= 4
    assert {step.sector_size for step in sized} == {4096}
