"""What every command line must hold, whatever the machine."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiwilite.errors import HostError, UsageError
from kiwilite.vm import accelerate
from kiwilite.vm.accelerate import Accelerator
from kiwilite.vm.firmware import Ovmf, find_ovmf, keep_variables
from kiwilite.vm.machine import Bus, Disk, Firmware, MachineSpec, SerialPort, Writes, command_line
from kiwilite.vm.qemu import OpenedDisk, Resources
from kiwilite.vm.spec import detect_format

OVMF = Ovmf(Path("/firmware/code.fd"), Path("/scratch/variables.fd"))


def options(command: list[str], name: str) -> list[str]:
    return [value for option, value in pairwise(command) if option == name]


def blockdevs(command: list[str]) -> dict[str, dict[str, Any]]:
    nodes = [json.loads(value) for value in options(command, "-blockdev")]
    return {node["node-name"]: node for node in nodes}


def resources(spec: MachineSpec, accelerator: Accelerator = Accelerator.TCG) -> Resources:
    opened = tuple(
        OpenedDisk(disk, Path(f"/scratch/disk{index}.qcow2"), "qcow2")
        if disk.writes is Writes.DISCARDED
        else OpenedDisk(disk, disk.path, "raw")
        for index, disk in enumerate(spec.disks)
    )
    terminal = spec.serial is SerialPort.TERMINAL
    return Resources(
        qemu=Path("qemu"),
        accelerator=accelerator,
        disks=opened,
        ovmf=None if spec.firmware is Firmware.BIOS else OVMF,
        qmp=5,
        serial=None if terminal else 6,
        tpm=None if spec.tpm is None else 7,
    )


def disks(names: str) -> st.SearchStrategy[list[Disk]]:
    made = st.builds(
        Disk,
        path=st.text("ab,=:;\"' ", min_size=1).map(lambda text: Path(f"/{names}/{text}.img")),
        bus=st.sampled_from([Bus.VIRTIO, Bus.NVME, Bus.USB]),
        sector_size=st.sampled_from([512, 4096]),
        writes=st.sampled_from(Writes),
    )
    return st.lists(made, max_size=4, unique_by=lambda disk: disk.path)


SPECS = st.builds(
    MachineSpec,
    image=st.just(Path("/images/built.raw")),
    firmware=st.sampled_from(Firmware),
    ssh_port=st.one_of(st.none(), st.integers(1, 65535)),
    disk_bus=st.sampled_from(Bus),
    writes=st.sampled_from(Writes),
    extra_disks=disks("extra").map(tuple),
    tpm=st.sampled_from([None, Path("/state/tpm")]),
    serial=st.sampled_from(SerialPort),
)


@given(SPECS)
def test_a_disk_whose_writes_are_discarded_is_not_even_named(spec: MachineSpec) -> None:
    nodes = blockdevs(command_line(spec, resources(spec)))
    named = {node["file"]["filename"] for node in nodes.values()}
    for disk in spec.disks:
        assert (str(disk.path) in named) is (disk.writes is Writes.TO_IMAGE)


@given(SPECS)
def test_only_throw_away_files_are_written_without_flushes(spec: MachineSpec) -> None:
    for node in blockdevs(command_line(spec, resources(spec))).values():
        if node.get("cache", {}).get("no-flush"):
            assert node["file"]["filename"].startswith("/scratch/")


@given(SPECS)
def test_every_disk_is_attached_once_and_booted_in_order(spec: MachineSpec) -> None:
    command = command_line(spec, resources(spec))
    attached = [value for value in options(command, "-device") if ",drive=disk" in value]
    assert len(attached) == len(spec.disks)
    order = [int(value.rpartition("bootindex=")[2]) for value in attached]
    assert order == sorted(set(order))
    assert order[0] > 0  # 0 is a directly booted kernel's


@given(SPECS)
def test_firmware_code_is_read_only_and_variables_are_not(spec: MachineSpec) -> None:
    nodes = blockdevs(command_line(spec, resources(spec)))
    if spec.firmware is Firmware.BIOS:
        assert "code" not in nodes
    else:
        assert nodes["code"]["read-only"] is True
        assert nodes["variables"]["read-only"] is False


@given(SPECS)
def test_the_guest_is_reachable_from_this_host_only(spec: MachineSpec) -> None:
    (network,) = options(command_line(spec, resources(spec)), "-netdev")
    assert ("hostfwd" in network) is (spec.ssh_port is not None)
    if spec.ssh_port is not None:
        assert f"hostfwd=tcp:127.0.0.1:{spec.ssh_port}-:22" in network


@given(SPECS)
def test_the_terminal_is_taken_only_where_it_is_asked_for(spec: MachineSpec) -> None:
    command = command_line(spec, resources(spec))
    terminal = "mon:stdio" in options(command, "-serial")
    assert terminal is (spec.serial is SerialPort.TERMINAL)


def test_a_directly_booted_kernel_gets_its_command_line_whole() -> None:
    kernel, cmdline = Path("/boot/vmlinuz"), "console=ttyS0 opt=a,b"
    spec = MachineSpec(kernel=kernel, initrd=Path("/boot/initrd"), cmdline=cmdline)
    command = command_line(spec, resources(spec))
    assert options(command, "-append") == [cmdline]
    assert options(command, "-initrd") == ["/boot/initrd"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu vme vmx sse", Accelerator.KVM),
        ("fpu svm", Accelerator.KVM),
        ("fpu vmxoff svm_lock", Accelerator.TCG),
        ("fpu sse", Accelerator.TCG),
    ],
)
def test_kvm_needs_vmx_or_svm(tmp_path: Path, flags: str, expected: Accelerator) -> None:
    cpuinfo, device = tmp_path / "cpuinfo", tmp_path / "kvm"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: vmx svm\nflags\t\t: {flags}\n")
    device.touch()
    assert accelerate.choose(cpuinfo, device) is expected


def test_kvm_needs_a_device_that_opens(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("flags\t\t: vmx\n")
    assert accelerate.choose(cpuinfo, tmp_path / "kvm") is Accelerator.TCG
    assert accelerate.choose(tmp_path / "none", tmp_path) is Accelerator.TCG


def test_emulation_never_offers_cmpxchg16b() -> None:
    emulated = accelerate.arguments(Accelerator.TCG)
    assert "-cx16" in options(emulated, "-cpu")[0]
    assert "kvm" not in emulated
    assert options(accelerate.arguments(Accelerator.KVM), "-cpu") == ["host"]


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
        ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ],
)
def test_ovmf_is_found_where_distributions_put_it(
    tmp_path: Path, code: str, variables: str
) -> None:
    for name in (code, variables):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_ovmf(tmp_path) == Ovmf(tmp_path / code, tmp_path / variables)


def test_a_host_without_ovmf_is_told_the_package(tmp_path: Path) -> None:
    # Code without its variables is no firmware.
    lonely = tmp_path / "usr/share/OVMF/OVMF_CODE_4M.fd"
    lonely.parent.mkdir(parents=True)
    lonely.touch()
    with pytest.raises(HostError, match="package ovmf"):
        find_ovmf(tmp_path)


def test_kept_variables_stay_and_those_of_another_build_are_refused(tmp_path: Path) -> None:
    template, store = tmp_path / "template", tmp_path / "store"
    template.write_bytes(b"fresh")
    ovmf = Ovmf(tmp_path / "code", template)
    assert keep_variables(ovmf, store).read_bytes() == b"fresh"
    store.write_bytes(b"mine!")
    assert keep_variables(ovmf, store).read_bytes() == b"mine!"
    assert template.read_bytes() == b"fresh"
    store.write_bytes(b"of another size")
    with pytest.raises(HostError, match="15 bytes"):
        keep_variables(ovmf, store)
    assert {path.name for path in tmp_path.iterdir()} == {"template", "store"}


def test_the_format_is_what_the_file_says_not_its_name(tmp_path: Path) -> None:
    image = tmp_path / "image.raw"
    image.write_bytes(b"QFI\xfb" + bytes(100))
    assert detect_format(image) == "qcow2"
    image.write_bytes(b"")
    assert detect_format(image) == "raw"
    with pytest.raises(HostError, match=r"missing\.raw: No such file"):
        detect_format(tmp_path / "missing.raw")


def test_machines_that_cannot_work_are_refused_at_once() -> None:
    image = Path("image.raw")
    with pytest.raises(UsageError, match="AHCI"):
        Disk(image, bus=Bus.AHCI, sector_size=4096)
    with pytest.raises(UsageError, match="SeaBIOS"):
        MachineSpec(image, firmware=Firmware.BIOS, sector_size=4096)
    with pytest.raises(UsageError, match="needs a kernel"):
        MachineSpec(image, cmdline="quiet")
    with pytest.raises(UsageError, match="TCP port"):
        MachineSpec(image, ssh_port=70000)


@given(SPECS, st.sampled_from(Bus))
def test_a_log_of_writes_stands_between_the_guest_and_its_disk(spec: MachineSpec, bus: Bus) -> None:
    logged = replace(spec, disk_bus=bus, write_log=Path("/logs/writes"))
    plain, node = blockdevs(command_line(spec, resources(spec))), "disk0"
    top = blockdevs(command_line(logged, resources(logged)))[node]
    assert top["driver"] == "blklogwrites"
    assert top["log"]["filename"] == "/logs/writes"
    assert top["file"] == {key: v for key, v in plain[node].items() if key != "node-name"}
