"""What a virtual machine is made of, as data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal

from kiwilite.errors import HostError, UsageError

ImageFormat = Literal["raw", "qcow2"]
SectorSize = Literal[512, 4096]


class Firmware(Enum):
    """UEFI is OVMF, BIOS is SeaBIOS."""

    UEFI = "uefi"
    BIOS = "bios"


class Bus(Enum):
    """How the guest sees a disk."""

    VIRTIO = "virtio"
    NVME = "nvme"
    AHCI = "ahci"
    USB = "usb"


class Writes(Enum):
    """Where the guest's writes to a disk go."""

    TO_IMAGE = "to-image"
    DISCARDED = "discarded"  # into a throw-away overlay that ends with the machine


class SerialPort(Enum):
    """What the guest's first serial port is connected to."""

    CONSOLE = "console"  # a `kiwilite.vm.console.Console` of this process
    TERMINAL = "terminal"  # the terminal of the user, together with QEMU's monitor


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the machine; `format` None: found by looking at the file.

    `write_log`: a file that gets every write and flush of the guest, in the order they
    were completed, in the format of the kernel's dm-log-writes; what it had is lost.
    """

    path: Path
    format: ImageFormat | None = None
    bus: Bus = Bus.VIRTIO
    sector_size: SectorSize = 512
    writes: Writes = Writes.TO_IMAGE
    write_log: Path | None = None

    def __post_init__(self) -> None:
        if self.sector_size == 4096 and self.bus is Bus.AHCI:
            raise UsageError(
                "QEMU's AHCI disks have sectors of 512 bytes only",
                where=str(self.path),
                hint="use virtio, nvme or usb for sectors of 4096",
            )


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """A machine of x86-64 architecture.

    `image` with `image_format`, `disk_bus`, `sector_size`, `writes` and `write_log` is
    the disk it boots from; `kernel`, `initrd` and `cmdline` boot a kernel directly.
    Sizes: `memory_mib` in MiB, `sector_size` in bytes. `ssh_port` is a TCP port
    of the host's loopback interface that leads to port 22 of the guest.
    `variables` is the file that keeps the UEFI variables from boot to boot, and
    `tpm` the directory that keeps the state of a TPM 2.0; without them the
    variables end with the machine, and there is no TPM.
    """

    image: Path | None = None
    image_format: ImageFormat | None = None
    firmware: Firmware = Firmware.UEFI
    kernel: Path | None = None
    initrd: Path | None = None
    cmdline: str = ""
    memory_mib: int = 2048
    cpus: int = 1
    """One is right for most tests: a kernel patches its own code while its other processors
    run it, which an emulated machine gets wrong in one of some hundred boots.
    """
    ssh_port: int | None = None
    disk_bus: Bus = Bus.VIRTIO
    sector_size: SectorSize = 512
    writes: Writes = Writes.TO_IMAGE
    write_log: Path | None = None
    extra_disks: tuple[Disk, ...] = ()
    variables: Path | None = None
    tpm: Path | None = None
    serial: SerialPort = SerialPort.CONSOLE

    def __post_init__(self) -> None:
        if self.kernel is None and (self.initrd is not None or self.cmdline):
            raise UsageError("an initrd or a kernel command line needs a kernel to boot directly")
        if self.memory_mib < 1 or self.cpus < 1:
            raise UsageError("a machine needs at least 1 MiB of memory and one processor")
        if self.ssh_port is not None and not 1 <= self.ssh_port <= 65535:
            raise UsageError(f"{self.ssh_port} is not a TCP port")
        if self.firmware is Firmware.BIOS and self.kernel is None and self.sector_size != 512:
            raise UsageError(
                "SeaBIOS boots from disks with sectors of 512 bytes only",
                hint="use UEFI firmware for sectors of 4096",
            )

    @property
    def disks(self) -> tuple[Disk, ...]:
        """All disks in order, the one to boot from first."""
        if self.image is None:
            return self.extra_disks
        boot = Disk(
            self.image,
            self.image_format,
            self.disk_bus,
            self.sector_size,
            self.writes,
            self.write_log,
        )
        return (boot, *self.extra_disks)


def detect_format(image: Path) -> ImageFormat:
    """qcow2 where the file starts with its magic `QFI\\xfb` (offset 0), else raw.

    Raises HostError where the file cannot be read.
    """
    try:
        with image.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise HostError(error.strerror or str(error), where=str(image)) from error
    return "qcow2" if magic == b"QFI\xfb" else "raw"
