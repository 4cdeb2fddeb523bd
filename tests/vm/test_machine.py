"""A real QEMU with a real kernel: start, console, end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from tiny_guest import TinyGuest

from kiwilite.cli import run_x86
from kiwilite.vm.machine import (
    Bus,
    Disk,
    Firmware,
    Machine,
    MachineFailed,
    MachineSpec,
    Writes,
    start,
)

pytestmark = pytest.mark.vm


def direct_boot(guest: TinyGuest, **more: object) -> MachineSpec:
    return MachineSpec(
        kernel=guest.kernel,
        initrd=guest.initrd,
        cmdline="console=ttyS0 no_timer_check panic=-1",
        firmware=Firmware.BIOS,
        memory_mib=512,
        **more,  # type: ignore[arg-type]
    )


def is_gone(machine: Machine) -> bool:
    return not Path(f"/proc/{machine.process.pid}").exists()


def test_a_guest_boots_answers_and_powers_off(tiny_guest: TinyGuest, tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    image.write_bytes(b"untouched" + bytes(4 << 20))
    spec = direct_boot(tiny_guest, image=image, writes=Writes.DISCARDED)
    with start(spec, transcript=tmp_path / "log") as machine:
        console = machine.console
        console.expect("guest is up", timeout=120)
        console.wait_for_shell(timeout=60)

        assert console.run("echo hi").output == "hi\n"
        assert console.run("exit 42").status == 42
        noisy = console.run(
            "dmesg -n 7; for i in 1 2 3 4 5; do echo line $i; echo '<2>noise from the kernel' "
            "> /dev/kmsg; sleep 0.2; done; dmesg -n 1"
        )
        assert noisy.status == 0
        assert noisy.output == "".join(f"line {number}\n" for number in range(1, 6))
        assert console.run("cat /sys/class/watchdog/watchdog0/identity || true").status == 0

        console.send("poweroff -f\n")
        machine.wait(60)
    assert is_gone(machine)
    assert b"noise from the kernel" in (tmp_path / "log").read_bytes()
    assert image.read_bytes()[:9] == b"untouched"


def test_the_power_button_and_the_reset_button_reach_the_guest(tiny_guest: TinyGuest) -> None:
    with start(direct_boot(tiny_guest)) as machine:
        machine.console.expect("guest is up", timeout=120)
        machine.reset()
        machine.console.expect("guest is up", timeout=120)
        machine.power_off(timeout=60)
        assert "Power down" in machine.console.tail(5)
    assert is_gone(machine)


def test_an_exception_in_the_block_ends_the_machine(tiny_guest: TinyGuest) -> None:
    with pytest.raises(KeyboardInterrupt), start(direct_boot(tiny_guest)) as machine:
        raise KeyboardInterrupt
    assert is_gone(machine)


def test_qemu_dies_with_the_process_that_started_it(tiny_guest: TinyGuest) -> None:
    script = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from kiwilite.vm.machine import Firmware, MachineSpec, start
        spec = MachineSpec(kernel=Path({str(tiny_guest.kernel)!r}), firmware=Firmware.BIOS)
        with start(spec) as machine:
            print(machine.process.pid, flush=True)
            time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        parent.kill()
    wait_until_dead(pid)


def test_what_qemu_refuses_is_reported_in_its_words(tmp_path: Path) -> None:
    broken = tmp_path / "broken.qcow2"
    broken.write_bytes(b"QFI\xfb" + bytes(1000))
    spec = MachineSpec(image=broken, firmware=Firmware.BIOS)
    with pytest.raises(MachineFailed, match=r"(?i)qcow2|version"), start(spec):
        pass


def test_firmware_tpm_and_every_bus_are_accepted_by_qemu(tmp_path: Path) -> None:
    disks = []
    for bus in Bus:
        path = tmp_path / f"{bus.value},disk.raw"  # a comma needs no care
        path.write_bytes(bytes(1 << 20))
        disks.append(Disk(path, bus=bus, sector_size=512 if bus is Bus.AHCI else 4096))
    spec = MachineSpec(
        extra_disks=tuple(disks), tpm=tmp_path / "tpm", variables=tmp_path / "variables.fd"
    )
    with start(spec, transcript=tmp_path / "log") as machine:
        machine.console.expect(r"BdsDxe|UEFI|PXE|Shell", timeout=120)
        nodes = machine.qmp.execute("query-block")
        assert len([node for node in nodes if node.get("inserted")]) >= len(disks)
        assert machine.qmp.execute("query-tpm")[0]["model"] == "tpm-tis"
    assert is_gone(machine)
    assert any((tmp_path / "tpm").iterdir())


def test_run_x86_until_finds_the_pattern_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image, log, scratch = tmp_path / "empty.raw", tmp_path / "log", tmp_path / "scratch"
    image.write_bytes(bytes(1 << 20))
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    # Firmware without a system does not listen to the power button.
    monkeypatch.setattr(run_x86, "POWER_OFF_SECONDS", 1.0)

    arguments = ["--snapshot", "--memory", "512", "--log", str(log), str(image)]
    assert run_x86.main(["--until", "BdsDxe", "--timeout", "120", *arguments]) == 0
    assert b"BdsDxe" in log.read_bytes()
    assert "did not power off" in capsys.readouterr().err

    assert run_x86.main(["--until", "no such text", "--timeout", "1", *arguments]) == 1
    assert "'no such text' did not appear within 1 s" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == [image, log, scratch]
    assert not list(scratch.iterdir())


def wait_until_dead(pid: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} is still there")
