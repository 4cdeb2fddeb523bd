"""QEMU's command line for a machine: a pure function."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kiwilite.vm import accelerate
from kiwilite.vm.accelerate import Accelerator
from kiwilite.vm.firmware import Ovmf
from kiwilite.vm.spec import Bus, Disk, Firmware, ImageFormat, MachineSpec, SerialPort


@dataclass(frozen=True, slots=True)
class OpenedDisk:
    """A disk of the machine, and the file that QEMU opens for it.

    `file` is the image itself, or a throw-away overlay on top of it.
    """

    disk: Disk
    file: Path
    format: ImageFormat


@dataclass(frozen=True, slots=True)
class Resources:
    """What a host provides to one running machine.

    The descriptors are QEMU's ends of connected unix sockets; `serial` is None
    where the serial port is the terminal, `tpm` where there is none. `ovmf` is
    None with BIOS firmware; its `variables` are this machine's own store, no
    template.
    """

    qemu: Path
    accelerator: Accelerator
    disks: tuple[OpenedDisk, ...]
    ovmf: Ovmf | None
    qmp: int
    serial: int | None
    tpm: int | None


def command_line(spec: MachineSpec, resources: Resources) -> list[str]:
    """The command that runs `spec`: paused, until QMP's `cont` lets it go."""
    return [
        str(resources.qemu),
        *("-name", "kiwilite", "-nodefaults", "-no-user-config", "-S"),
        *accelerate.arguments(resources.accelerator),
        *("-smp", f"cpus={spec.cpus}", "-m", f"size={spec.memory_mib}M"),
        *_firmware(spec, resources.ovmf),
        *_kernel(spec),
        *_control(resources.qmp),
        *_serial(spec.serial, resources.serial),
        *_network(spec.ssh_port),
        *_disks(resources.disks),
        *_tpm(resources.tpm),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom"),
        *("-device", "virtio-rng-pci,rng=rng0"),
        *("-device", "i6300esb,id=watchdog0", "-action", "watchdog=reset"),
        *("-vga", "std"),
    ]


def _blockdev(**options: object) -> list[str]:
    # JSON, because in the short form every comma of a path would need doubling.
    return ["-blockdev", json.dumps(options)]


def _firmware(spec: MachineSpec, ovmf: Ovmf | None) -> list[str]:
    if spec.firmware is Firmware.BIOS or ovmf is None:
        return ["-machine", "q35"]
    return [
        *("-machine", "q35,pflash0=code,pflash1=variables"),
        *_flash("code", ovmf.code, read_only=True),
        *_flash("variables", ovmf.variables, read_only=False),
    ]


def _flash(node: str, path: Path, *, read_only: bool) -> list[str]:
    file = {"driver": "file", "filename": str(path)}
    return _blockdev(**{"driver": "raw", "node-name": node, "read-only": read_only, "file": file})


def _kernel(spec: MachineSpec) -> list[str]:
    if spec.kernel is None:
        return []
    # QEMU splits no commas in these three.
    initrd = [] if spec.initrd is None else ["-initrd", str(spec.initrd)]
    return ["-kernel", str(spec.kernel), *initrd, "-append", spec.cmdline]


def _control(qmp: int) -> list[str]:
    return ["-chardev", f"socket,id=qmp,fd={qmp}", "-mon", "chardev=qmp,mode=control"]


def _serial(port: SerialPort, descriptor: int | None) -> list[str]:
    if port is SerialPort.TERMINAL or descriptor is None:
        return ["-nographic", "-serial", "mon:stdio"]
    return [
        *("-display", "none"),
        *("-chardev", f"socket,id=serial0,fd={descriptor}"),
        *("-serial", "chardev:serial0"),
    ]


def _network(ssh_port: int | None) -> list[str]:
    forward = "" if ssh_port is None else f",hostfwd=tcp:127.0.0.1:{ssh_port}-:22"
    # Without its option ROM the card is no boot device: no wait for PXE.
    return [
        *("-netdev", f"user,id=net0{forward}"),
        *("-device", "virtio-net-pci,netdev=net0,romfile="),
    ]


def _disks(disks: tuple[OpenedDisk, ...]) -> list[str]:
    buses = {opened.disk.bus for opened in disks}
    controller = ["-device", "qemu-xhci,id=xhci"] if Bus.USB in buses else []
    return controller + [
        argument for index, opened in enumerate(disks) for argument in _disk(index, opened)
    ]


def _logged(node: str, below: dict[str, object], log: Path) -> dict[str, object]:
    """The node `node` that logs what it passes on to the node `below`."""
    # The log is of use after QEMU has ended well: the host's power cuts are not its concern.
    file = {"driver": "file", "filename": str(log), "cache": {"no-flush": True}}
    inner = {key: value for key, value in below.items() if key != "node-name"}
    driver = {"driver": "blklogwrites", "node-name": node, "discard": "unmap"}
    return {**driver, "file": inner, "log": file, "log-sector-size": 512}


def _disk(index: int, opened: OpenedDisk) -> list[str]:
    node, sector = f"disk{index}", opened.disk.sector_size
    throw_away = opened.file != opened.disk.path
    top: dict[str, object] = {
        "driver": opened.format,
        "node-name": node,
        "discard": "unmap",
        "file": {"driver": "file", "filename": str(opened.file)},
        # What ends with the machine need not survive the host's power cut.
        "cache": {"no-flush": throw_away},
    }
    if opened.disk.write_log is not None:
        top = _logged(node, top, opened.disk.write_log)
    blocks = f"logical_block_size={sector},physical_block_size={sector}"
    device = {
        Bus.VIRTIO: f"virtio-blk-pci,serial={node},{blocks}",
        Bus.NVME: f"nvme,serial={node},{blocks}",
        Bus.AHCI: f"ide-hd,bus=ide.{index},serial={node}",
        Bus.USB: f"scsi-hd,bus={node}-usb.0,serial={node},{blocks}",
    }[opened.disk.bus]
    if opened.disk.write_log is not None and opened.disk.bus is Bus.VIRTIO:
        # QEMU 7.2's log is garbled by a command to write zeros while others are on their way.
        device += ",discard=off,write-zeroes=off"
    # Not usb-storage: firmware sees sectors of 512 there, whatever the disk has.
    bridge = ["-device", f"usb-bot,bus=xhci.0,serial={node},id={node}-usb"]
    # A kernel to boot directly has boot index 0.
    return [
        *_blockdev(**top),
        *(bridge if opened.disk.bus is Bus.USB else []),
        *("-device", f"{device},drive={node},bootindex={index + 1}"),
    ]


def _tpm(descriptor: int | None) -> list[str]:
    if descriptor is None:
        return []
    return [
        *("-chardev", f"socket,id=tpm,fd={descriptor}"),
        *("-tpmdev", "emulator,id=tpm0,chardev=tpm"),
        *("-device", "tpm-tis,tpmdev=tpm0"),
    ]
