"""Runs commands in a guest over ssh, with a password and without a terminal.

For tests: the host key is not checked, so this is no way to reach a machine
that one needs to trust.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from kiwilite.errors import KiwiliteError
from kiwilite.vm.process import require
from kiwilite.vm.shell import CommandResult

_UNREACHABLE = 255  # ssh's own failures, see ssh(1)
_ASK = '#!/bin/sh\nprintf "%s\\n" "$KIWILITE_SSH_PASSWORD"\n'


class SshFailed(KiwiliteError):
    """The guest could not be reached, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the guest behind a TCP port of the host's loopback interface."""

    user: str
    password: str
    port: int


def run(account: Account, command: str, timeout: float = 60) -> CommandResult:
    """Run `command` in the guest; standard error is part of the output.

    Raises SshFailed where there is no answer within `timeout` seconds, or ssh
    itself fails (its status 255).
    """
    ssh = require("ssh", "openssh-client")
    with tempfile.TemporaryDirectory(prefix="kiwilite-ssh-") as directory:
        ask = Path(directory, "ask")
        ask.write_text(_ASK)
        ask.chmod(0o700)
        environment = {
            **os.environ,
            "SSH_ASKPASS": str(ask),
            "SSH_ASKPASS_REQUIRE": "force",
            "KIWILITE_SSH_PASSWORD": account.password,
        }
        environment.pop("SSH_AUTH_SOCK", None)
        try:
            done = subprocess.run(
                [str(ssh), *_options(account), "127.0.0.1", command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise SshFailed(f"{command!r} did not end within {timeout:g} s") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode == _UNREACHABLE:
        raise SshFailed(f"ssh to port {account.port} failed: {output.strip()}")
    return CommandResult(done.returncode, output)


def wait_until_reachable(account: Account, timeout: float = 180) -> None:
    """Wait until the guest lets `account` in; raises SshFailed after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            run(account, "true", timeout=30)
            return
        except SshFailed:
            if time.monotonic() >= deadline:
                raise
            time.sleep(1)


def _options(account: Account) -> list[str]:
    settings = {
        "User": account.user,
        "Port": account.port,
        "StrictHostKeyChecking": "no",
        "UserKnownHostsFile": "/dev/null",
        "GlobalKnownHostsFile": "/dev/null",
        "PreferredAuthentications": "password,keyboard-interactive",
        "PubkeyAuthentication": "no",
        "NumberOfPasswordPrompts": 1,
        "ConnectTimeout": 20,
        "LogLevel": "ERROR",
    }
    # No configuration of the user: it may hold a proxy or a multiplexed connection.
    pairs = [f"-o{name}={value}" for name, value in settings.items()]
    return ["-F", "none", "-T", *pairs]
