"""Child processes that cannot be left behind."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from kiwilite.errors import HostError

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_libc = ctypes.CDLL(None, use_errno=True)


def require(program: str, package: str) -> Path:
    """The path of `program`; raises HostError, naming `package`, where it is missing."""
    path = shutil.which(program)
    if path is None:
        raise HostError(f"{program} is not installed", hint=f"install the package {package}")
    return Path(path)


def spawn(
    command: Sequence[str],
    *,
    descriptors: Sequence[int] = (),
    stdin: IO[bytes] | int | None = subprocess.DEVNULL,
    stdout: IO[bytes] | int | None = None,
    stderr: IO[bytes] | int | None = None,
) -> subprocess.Popen[bytes]:
    """Start `command` as the leader of a process group and session of its own.

    It inherits `descriptors` under the same numbers. The kernel kills it when
    the thread that called this ends, however that comes about.
    """
    parent = os.getpid()

    def die_with_parent() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before the line above took effect
            os._exit(1)

    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=tuple(descriptors),
        start_new_session=True,
        # The child only makes system calls here, so threads of ours do no harm.
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )


def end(process: subprocess.Popen[bytes], *, grace: float = 5) -> None:
    """End `process` and its group: ask, wait `grace` seconds, then kill; reap it."""
    for request in (signal.SIGTERM, signal.SIGKILL):
        # Not reaped yet: so the number is still its own, and no one else's group.
        if process.poll() is None:
            os.killpg(process.pid, request)
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                continue
    process.wait()
