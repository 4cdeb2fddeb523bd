"""The command line of run_x86, and the processes and tools it relies on; no QEMU."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from kiwilite.cli import run_x86
from kiwilite.errors import HostError, UsageError
from kiwilite.vm import ssh
from kiwilite.vm.machine import MachineSpec, start
from kiwilite.vm.process import end, require, spawn
from kiwilite.vm.sector_size import detect_sector_size


def touch(path: Path, age: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.utime(path, (1_000_000 - age, 1_000_000 - age))
    return path


def test_the_newest_qcow2_below_build_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    touch(Path("build/new/x.raw"), age=0)
    touch(Path("build/old/x.qcow2"), age=20)
    newest = touch(Path("build/x86-bootstrapped/x.qcow2"), age=10)
    assert run_x86.find_image(None) == newest
    assert run_x86.find_image(Path("build/old")) == Path("build/old/x.qcow2")
    assert run_x86.find_image(Path("build/new")) == Path("build/new/x.raw")


def test_no_image_is_an_error_with_the_command_that_builds_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_x86.main([]) == HostError.exit_status
    assert "kiwilite system build --description x86" in capsys.readouterr().err
    assert run_x86.main(["missing.qcow2"]) == HostError.exit_status
    assert "missing.qcow2: there is no such image" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--memory", "lots"],
        ["--cpus", "two"],
        ["--bus", "scsi"],
        ["--sector-size", "520"],
        ["--bus", "ahci", "--sector-size", "4096"],
        ["--bios", "--sector-size", "4096"],
        ["--ssh-port", "99999"],
        ["--until", "("],
        ["--log", "file"],
        ["--no-such-option"],
    ],
)
def test_a_command_line_without_sense_is_refused(tmp_path: Path, arguments: list[str]) -> None:
    image = touch(tmp_path / "x.raw", age=0)
    assert run_x86.main([*arguments, str(image)]) == UsageError.exit_status
    assert list(tmp_path.iterdir()) == [image]


def test_memory_is_in_mib_or_has_a_unit() -> None:
    assert [run_x86.memory_in_mib(text) for text in ("2048", "512M", "2G")] == [2048, 512, 2048]


def gpt_image(path: Path, sector: int) -> Path:
    """A disk of 1 MiB with nothing but the header of a GPT, in the sector it belongs to."""
    with path.open("wb") as disk:
        disk.truncate(1 << 20)
        disk.seek(sector)
        disk.write(b"EFI PART")
    return path


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_sector_size_is_the_one_of_the_partition_table(tmp_path: Path, sector: int) -> None:
    assert detect_sector_size(gpt_image(tmp_path / "x.raw", sector)) == sector


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_partition_table_is_found_in_a_qcow2_too(tmp_path: Path, sector: int) -> None:
    if shutil.which("qemu-img") is None:
        pytest.skip("qemu-img is not installed")
    raw, image = gpt_image(tmp_path / "x.raw", sector), tmp_path / "x.qcow2"
    command = ["qemu-img", "convert", "-c", "-O", "qcow2", str(raw), str(image)]
    subprocess.run(command, check=True)
    assert detect_sector_size(image) == sector


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", bytes(5000)])
def test_an_image_without_a_partition_table_has_sectors_of_512(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "x").write_bytes(content)
    assert detect_sector_size(tmp_path / "x") == 512


def spec_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> MachineSpec:
    """The machine that a command line would start."""
    specs: list[MachineSpec] = []
    monkeypatch.setattr(run_x86, "_run_at_terminal", specs.append)
    assert run_x86.main(list(arguments)) == 0
    return specs[0]


def test_the_option_goes_before_what_the_image_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = str(gpt_image(tmp_path / "x.raw", 4096))
    assert spec_of(monkeypatch, image).sector_size == 4096
    assert spec_of(monkeypatch, "--sector-size", "512", image).sector_size == 512


def test_the_help_fits_eighty_columns() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "kiwilite.cli.run_x86", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage:" in shown.stdout
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(HostError, match=r"swtpm is not installed(.|\n)*package swtpm"):
        require("swtpm", "swtpm")


def test_a_port_in_use_is_an_error_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(HostError, match=f"TCP port {port}"), start(MachineSpec(ssh_port=port)):
            pass


def test_a_process_that_ignores_the_request_is_killed_with_its_children() -> None:
    stubborn = "trap '' TERM; sleep 60 & echo $!; while :; do sleep 1; done"
    process = spawn(["sh", "-c", stubborn], stdout=subprocess.PIPE)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    end(process, grace=0.3)
    assert process.returncode == -signal.SIGKILL
    assert is_dead(child)
    process.stdout.close()


def test_a_process_dies_with_its_parent() -> None:
    script = textwrap.dedent("""
        import time
        from kiwilite.vm.process import spawn
        print(spawn(["sleep", "60"]).pid, flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not is_dead(child, patience=0)
        parent.kill()
    assert is_dead(child)


def is_dead(pid: int, patience: float = 10) -> bool:
    deadline = time.monotonic() + patience
    while True:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.02)


def fake_ssh(directory: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """An ssh that asks for the password as OpenSSH does, then runs `body`."""
    path = directory / "ssh"
    path.write_text(
        f'#!/bin/sh\n[ "$("$SSH_ASKPASS" "password:")" = "p w\'d" ] || exit 255\n{body}'
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")


def test_ssh_gets_the_password_and_its_status_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The command is ssh's last argument.
    fake_ssh(tmp_path, monkeypatch, 'for last; do :; done; eval "$last"\n')
    account = ssh.Account("root", "p w'd", 10022)
    result = ssh.run(account, "echo out; echo err >&2; exit 5")
    assert (result.status, result.output) == (5, "out\nerr\n")
    with pytest.raises(ssh.SshFailed, match="did not end"):
        ssh.run(account, "exec sleep 20", timeout=0.2)


def test_a_refused_password_is_a_failure_not_a_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ssh(tmp_path, monkeypatch, "exit 0\n")
    with pytest.raises(ssh.SshFailed, match="port 10022"):
        ssh.run(ssh.Account("root", "wrong", 10022), "true")
