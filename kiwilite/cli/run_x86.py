"""Run a disk image in QEMU, with UEFI firmware and the serial console here.

Usage:
  run_x86 [options] [IMAGE]
  run_x86 --help

IMAGE is a .qcow2 or .raw file, or a directory to take the newest image from;
without it, the newest image below ./build is taken (.qcow2 before .raw).
Ctrl-A X ends the machine, Ctrl-A C opens QEMU's monitor.

Options:
  -p, --ssh-port PORT  port of this host that leads to the guest's port 22;
                       0 for none [default: 10022]
  -m, --memory SIZE    memory in MiB, or with a unit: 512M, 2G [default: 2G]
  -c, --cpus COUNT     processors [default: 2]
  --snapshot           leave the image as it is: writes, UEFI variables and
                       the state of the TPM end with the machine
  --bios               boot with BIOS firmware instead of UEFI
  --bus BUS            virtio, nvme, ahci or usb [default: virtio]
  --sector-size BYTES  512 or 4096; else what the image's partition table has
  --tpm                give the machine a TPM 2.0, kept in IMAGE.tpm
  --no-vars            forget the UEFI variables; else IMAGE.uefi-vars has them
  --reset-vars         start with fresh UEFI variables, and keep them
  --until PATTERN      no terminal: wait until the regular expression PATTERN
                       appears on the console, power off, and exit with 0;
                       exit with 1 and the console's last lines if it does not
  --timeout SECONDS    how long --until waits [default: 300]
  --log FILE           keep what the console said (with --until)
  -h, --help           this text
"""

from __future__ import annotations

import re
import signal
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from docopt import DocoptExit, docopt

from kiwilite.errors import HostError, KiwiliteError, UsageError
from kiwilite.vm import accelerate
from kiwilite.vm.accelerate import Accelerator
from kiwilite.vm.machine import (
    Bus,
    Firmware,
    MachineSpec,
    SerialPort,
    StillRunning,
    Writes,
    start,
)
from kiwilite.vm.sector_size import detect_sector_size
from kiwilite.vm.spec import SectorSize

POWER_OFF_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Until:
    """What ends a machine that runs without a terminal; `timeout` in seconds."""

    pattern: re.Pattern[str]
    timeout: float
    log: Path | None


def main(argv: list[str] | None = None) -> int:
    """Run the command line `argv` and return its exit status."""
    try:
        options = docopt(__doc__, argv)
    except DocoptExit as error:
        print(error, file=sys.stderr)
        return UsageError.exit_status
    try:
        with ExitStack() as stack:
            stack.enter_context(_ended_by_signals())
            until = _until(options)
            spec = _spec(options, stack)
            _announce(spec)
            if until is None:
                _run_at_terminal(spec)
            else:
                _run_until(spec, until)
    except KiwiliteError as error:
        print(f"run_x86: error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def find_image(given: Path | None) -> Path:
    """The image to run: `given`, or the newest in that directory or below ./build.

    Raises HostError where there is none.
    """
    place = given or Path("build")
    if given is not None and not given.is_dir():
        if not given.exists():
            raise HostError("there is no such image", where=str(given))
        return given
    for suffix in (".qcow2", ".raw"):
        found = [path for path in place.rglob(f"*{suffix}") if path.is_file()]
        if found:
            return max(found, key=lambda path: path.stat().st_mtime_ns)
    raise HostError(
        "there is no image to run (.qcow2 or .raw)",
        where=f"{place}/",
        hint="build one: kiwilite system build --description x86 --profile bootstrapped",
    )


def memory_in_mib(text: str) -> int:
    """MiB of "2048", "512M" or "2G"; raises UsageError."""
    match = re.fullmatch(r"([1-9][0-9]*)([MmGg]?)", text)
    if match is None:
        raise UsageError(f"--memory {text}: not a size such as 2048, 512M or 2G")
    return int(match.group(1)) * (1024 if match.group(2) in ("G", "g") else 1)


def _spec(options: dict[str, Any], stack: ExitStack) -> MachineSpec:
    image = find_image(Path(options["IMAGE"]) if options["IMAGE"] else None)
    bios, snapshot = options["--bios"], options["--snapshot"]
    at_terminal = options["--until"] is None
    return MachineSpec(
        image=image,
        firmware=Firmware.BIOS if bios else Firmware.UEFI,
        memory_mib=memory_in_mib(options["--memory"]),
        cpus=_number(options, "--cpus"),
        # No one logs in while --until waits, and the port may be taken.
        ssh_port=(_number(options, "--ssh-port") or None) if at_terminal else None,
        disk_bus=_bus(options["--bus"]),
        sector_size=_sector_size(options, image),
        writes=Writes.DISCARDED if snapshot else Writes.TO_IMAGE,
        variables=None if bios or snapshot else _variables(image, options),
        tpm=_tpm(image, options, stack) if options["--tpm"] else None,
        serial=SerialPort.TERMINAL if at_terminal else SerialPort.CONSOLE,
    )


def _sector_size(options: dict[str, Any], image: Path) -> SectorSize:
    if options["--sector-size"] is None:
        return detect_sector_size(image)
    match _number(options, "--sector-size"):
        case 512:
            return 512
        case 4096:
            return 4096
    raise UsageError("--sector-size is 512 or 4096")


def _until(options: dict[str, Any]) -> Until | None:
    if options["--until"] is None:
        if options["--log"]:
            raise UsageError("--log needs --until")
        return None
    try:
        pattern = re.compile(options["--until"])
    except re.error as error:
        raise UsageError(f"--until: not a regular expression: {error}") from error
    log = Path(options["--log"]) if options["--log"] else None
    return Until(pattern, _number(options, "--timeout"), log)


def _number(options: dict[str, Any], name: str) -> int:
    text: str = options[name]
    if not text.isascii() or not text.isdigit():
        raise UsageError(f"{name} {text}: not a number")
    return int(text)


def _bus(text: str) -> Bus:
    try:
        return Bus(text)
    except ValueError as error:
        known = ", ".join(bus.value for bus in Bus)
        raise UsageError(f"--bus {text}: not one of {known}") from error


def _variables(image: Path, options: dict[str, Any]) -> Path | None:
    if options["--no-vars"]:
        return None
    store = image.with_name(f"{image.name}.uefi-vars")
    if options["--reset-vars"]:
        store.unlink(missing_ok=True)
    return store


def _tpm(image: Path, options: dict[str, Any], stack: ExitStack) -> Path:
    if options["--snapshot"]:
        # A TPM that knows nothing of the boots whose writes are discarded.
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kiwilite-tpm-")))
    return image.with_name(f"{image.name}.tpm")


def _announce(spec: MachineSpec) -> None:
    if accelerate.choose() is Accelerator.KVM:
        how = "KVM"
    else:
        how = "emulation, as this host has no KVM: it takes a minute or two"
    print(f"{spec.image}: {spec.firmware.value.upper()}, {how}", file=sys.stderr)
    if spec.ssh_port is not None:
        print(f"ssh: port {spec.ssh_port} of 127.0.0.1", file=sys.stderr)
    if spec.serial is SerialPort.TERMINAL:
        print("Ctrl-A X ends the machine", file=sys.stderr)


def _run_at_terminal(spec: MachineSpec) -> None:
    with _terminal_restored(), start(spec) as machine:
        machine.wait()


def _run_until(spec: MachineSpec, until: Until) -> None:
    began = time.monotonic()
    with start(spec, transcript=until.log) as machine:
        machine.console.expect(until.pattern, until.timeout)
        print(f"{until.pattern.pattern!r} appeared after {time.monotonic() - began:.0f} s")
        try:
            machine.power_off(POWER_OFF_SECONDS)
        except StillRunning as error:
            print(f"run_x86: warning: {error}; it was ended", file=sys.stderr)
        else:
            print(f"powered off after {time.monotonic() - began:.0f} s")


@contextmanager
def _terminal_restored() -> Iterator[None]:
    # QEMU sets the terminal to raw mode, and does not set it back when it is killed.
    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    attributes = termios.tcgetattr(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, attributes)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Unwind on SIGTERM and SIGHUP, as Python does on SIGINT, so that all is cleaned up."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


if __name__ == "__main__":
    sys.exit(main())
