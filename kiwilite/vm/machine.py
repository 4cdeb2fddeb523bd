"""Runs a machine in QEMU, from start to a certain end.

    with start(MachineSpec(image=path, writes=Writes.DISCARDED)) as machine:
        machine.console.login("root", "linux")
        assert machine.console.run("systemctl is-system-running").status == 0
        machine.power_off()

Nothing outlives the `with` block or this process: no process, no file, no
socket with a name. What QEMU keeps open while it runs is unlinked once it has
it open, and its control channels are connected sockets it inherits.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kiwilite.errors import HostError, KiwiliteError, UsageError
from kiwilite.vm import accelerate
from kiwilite.vm.console import Console
from kiwilite.vm.firmware import Ovmf, find_ovmf, keep_variables
from kiwilite.vm.process import end, require, spawn
from kiwilite.vm.qemu import OpenedDisk, Resources, command_line
from kiwilite.vm.qmp import Qmp, QmpError
from kiwilite.vm.spec import (
    Bus,
    Disk,
    Firmware,
    ImageFormat,
    MachineSpec,
    SerialPort,
    Writes,
    detect_format,
)

__all__ = [
    "Bus",
    "Disk",
    "Firmware",
    "Machine",
    "MachineFailed",
    "MachineSpec",
    "SerialPort",
    "StillRunning",
    "Writes",
    "command_line",
    "free_port",
    "make_overlay",
    "start",
]

_BUTTON_INTERVAL = 10.0  # seconds


class MachineFailed(KiwiliteError):
    """QEMU did not start, or ended with an error."""


class StillRunning(KiwiliteError):
    """The machine did not end within the time given."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A running machine; made by `start`."""

    spec: MachineSpec
    process: subprocess.Popen[bytes]
    qmp: Qmp
    serial: Console | None
    log: IO[bytes]

    @property
    def console(self) -> Console:
        """The driver of the serial console; UsageError where the terminal has it."""
        if self.serial is None:
            raise UsageError("the serial port of this machine is connected to the terminal")
        return self.serial

    def wait(self, timeout: float | None = None) -> None:
        """Wait until QEMU ends, at most `timeout` seconds.

        Raises StillRunning, or MachineFailed where QEMU ended with an error.
        """
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise StillRunning(f"the machine still runs after {timeout:g} s") from error
        if status != 0:
            raise MachineFailed(f"QEMU ended with status {status}: {_tail(self.log)}")

    def press_power_button(self) -> None:
        """Ask the guest to power down, as the button of a real machine does."""
        self.qmp.execute("system_powerdown")

    def power_off(self, timeout: float = 180) -> None:
        """Press the power button until the guest has powered off.

        More than once, because a guest that still starts may miss it. Raises
        StillRunning after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(QmpError):  # it has just ended
                self.press_power_button()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(min(_BUTTON_INTERVAL, max(0.1, deadline - time.monotonic())))
        if self.process.poll() is None:
            raise StillRunning(f"the guest did not power off within {timeout:g} s")
        self.wait()

    def reset(self) -> None:
        """Reset the machine at once, as its reset button does."""
        self.qmp.execute("system_reset")

    def quit(self, timeout: float = 10) -> None:
        """End QEMU at once; what the guest has not written is lost."""
        with contextlib.suppress(QmpError):
            self.qmp.execute("quit")
        self.wait(timeout)


@contextmanager
def start(spec: MachineSpec, *, transcript: Path | None = None) -> Iterator[Machine]:
    """Run the machine `spec`; when the block is left, it is ended if it still runs.

    All that comes over its serial port is kept in the file `transcript`. Call it
    from a thread that outlives the machine: the kernel kills QEMU with it.
    Raises HostError for what this host lacks, MachineFailed where QEMU refuses.
    """
    if spec.ssh_port is not None:
        _check_free(spec.ssh_port)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(_scratch_directory()))
        log = stack.enter_context(tempfile.TemporaryFile())
        qmp_ours, qmp_theirs = _socket_pair(stack)
        serial_ours, serial_theirs = _serial_pair(spec, stack)
        tpm = None if spec.tpm is None else _start_tpm(spec.tpm, log, stack)
        resources = Resources(
            qemu=require("qemu-system-x86_64", "qemu-system-x86"),
            accelerator=accelerate.choose(),
            disks=_open_disks(spec, directory),
            ovmf=_prepare_firmware(spec, directory),
            qmp=qmp_theirs.fileno(),
            serial=None if serial_theirs is None else serial_theirs.fileno(),
            tpm=None if tpm is None else tpm.fileno(),
        )
        console = None
        if serial_ours is not None:
            console = stack.enter_context(Console(serial_ours.detach(), log=transcript))
        process = _spawn_qemu(spec, resources, log)
        stack.callback(end, process)
        for theirs in (qmp_theirs, serial_theirs, tpm):
            if theirs is not None:
                theirs.close()  # so that its end is seen as the end of the stream
        qmp = _connect(qmp_ours, process, log)
        stack.callback(qmp.close)
        shutil.rmtree(directory)  # QEMU has all of it open by now
        qmp.execute("cont")
        machine = Machine(spec, process, qmp, console, log)
        yield machine
        if process.poll() is None:
            with contextlib.suppress(StillRunning):  # ended below, the hard way
                machine.quit()


def make_overlay(image: Path, overlay: Path, image_format: ImageFormat | None = None) -> Path:
    """Make the qcow2 file `overlay` that takes writes in place of `image`.

    For machines that boot several times over the same writes. `image` must not
    change as long as the overlay is used. Raises HostError.
    """
    qemu_img = require("qemu-img", "qemu-utils")
    backing = ["-b", str(image.resolve()), "-F", image_format or detect_format(image)]
    made = subprocess.run(
        [str(qemu_img), "create", "-q", "-f", "qcow2", *backing, str(overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise HostError(f"no overlay could be made: {made.stderr.strip()}", where=str(image))
    return overlay


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        # As QEMU does it: a port whose last connection has just ended is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise HostError(
                f"TCP port {port} for ssh cannot be used: {error.strerror}",
                hint="another machine may be running: choose another port",
            ) from error


@contextmanager
def _scratch_directory() -> Iterator[str]:
    # Overlays can become large: /var/tmp, unless the user has set TMPDIR,
    # because /tmp is often in memory.
    large = Path("/var/tmp")
    parent = None if tempfile.gettempdir() != "/tmp" or not large.is_dir() else large
    with tempfile.TemporaryDirectory(
        prefix="kiwilite-vm-", dir=parent, ignore_cleanup_errors=True
    ) as directory:
        yield directory


def _socket_pair(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    return stack.enter_context(ours), stack.enter_context(theirs)


def _serial_pair(
    spec: MachineSpec, stack: ExitStack
) -> tuple[socket.socket, socket.socket] | tuple[None, None]:
    if spec.serial is SerialPort.TERMINAL:
        return None, None
    return _socket_pair(stack)


def _open_disks(spec: MachineSpec, directory: Path) -> tuple[OpenedDisk, ...]:
    opened = []
    for index, disk in enumerate(spec.disks):
        found = disk.format or detect_format(disk.path)
        if disk.write_log is not None:
            disk.write_log.write_bytes(b"")  # QEMU opens it, but does not make it
        if disk.writes is Writes.DISCARDED:
            overlay = make_overlay(disk.path, directory / f"disk{index}.qcow2", found)
            opened.append(OpenedDisk(disk, overlay, "qcow2"))
        else:
            opened.append(OpenedDisk(disk, disk.path, found))
    return tuple(opened)


def _prepare_firmware(spec: MachineSpec, directory: Path) -> Ovmf | None:
    if spec.firmware is Firmware.BIOS:
        return None
    ovmf = find_ovmf()
    store = spec.variables or directory / "variables.fd"
    return Ovmf(ovmf.code, keep_variables(ovmf, store))


def _start_tpm(state: Path, log: IO[bytes], stack: ExitStack) -> socket.socket:
    swtpm = require("swtpm", "swtpm")
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ours, theirs = _socket_pair(stack)
    command = [
        *(str(swtpm), "socket", "--tpm2", "--tpmstate", f"dir={state}"),
        *("--ctrl", f"type=unixio,clientfd={theirs.fileno()}", "--terminate"),
    ]
    process = spawn(command, descriptors=[theirs.fileno()], stdout=log, stderr=log)
    stack.callback(end, process)
    theirs.close()
    return ours


def _spawn_qemu(spec: MachineSpec, resources: Resources, log: IO[bytes]) -> subprocess.Popen[bytes]:
    at_terminal = spec.serial is SerialPort.TERMINAL
    inherited = [resources.qmp, resources.serial, resources.tpm]
    return spawn(
        command_line(spec, resources),
        descriptors=[number for number in inherited if number is not None],
        stdin=None if at_terminal else subprocess.DEVNULL,
        stdout=None if at_terminal else log,
        stderr=log,
    )


def _connect(ours: socket.socket, process: subprocess.Popen[bytes], log: IO[bytes]) -> Qmp:
    try:
        return Qmp(ours)
    except QmpError as error:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        raise MachineFailed(f"QEMU did not start: {_tail(log)}") from error


def _tail(log: IO[bytes]) -> str:
    # QEMU wrote through a descriptor of its own: the file position is shared.
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-10:]) or "it said nothing"
