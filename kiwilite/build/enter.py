"""Runs as a process of its own: enters the namespaces, builds the view, starts the task there.

Started for `sandbox.run_inside` with three file descriptors: the specification (JSON),
a gate that opens when the parent has written the id maps, and a line upward on which
"unshared" asks for the maps and any other is a complaint: how far it came, errno and
words, in JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from kiwilite.build import syscalls as sc
from kiwilite.build.namespace_causes import Point
from kiwilite.build.starter import Call, carry_out

VIEW = "/tmp"
"""Where the new root is put together: any directory that surely exists."""

HOSTNAME = "localhost"
"""What scripts see on every build host: names of hosts have got into images."""

HOST_DIRECTORIES = ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def main(words: Sequence[str], fds: Sequence[int]) -> int:
    """Enter, run, and give the task's status; there are no words."""
    spec_fd, gate_fd, up_fd = fds
    with os.fdopen(spec_fd, "rb") as stream:
        spec = json.loads(stream.read())
    point = Point.MAKE
    with os.fdopen(up_fd, "w") as up, os.fdopen(gate_fd, "rb") as gate:
        try:
            sc.unshare(
                sc.CLONE_NEWUSER
                | sc.CLONE_NEWNS
                | sc.CLONE_NEWPID
                | sc.CLONE_NEWIPC
                | sc.CLONE_NEWUTS
                | (sc.CLONE_NEWNET if spec["network"] == "offline" else 0)
            )
            # Between here and `_become_root` we have the namespace's powers and still the
            # caller's identity: paths below the caller's private folders open now.
            sources = _open_sources(spec["binds"])
            up.write("unshared\n")
            up.flush()
            if gate.readline() != b"mapped\n":
                return 125
            point = Point.USE
            _become_root()
            if spec["network"] == "offline":
                sc.loopback_up()
            # A fork is needed for the new PID namespace to take effect; mounting /proc
            # belongs to the process that lives in it.
            pid = os.fork()
            if pid == 0:
                sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
                _build_view(spec["binds"], sources)
        except OSError as error:
            point = Point.NAME if isinstance(error, NoName) else point
            said = ": ".join(str(w) for w in (error.filename, error.strerror) if w)
            up.write(f"{json.dumps([point.name, error.errno, said])}\n")
            return 125
    if pid == 0:
        return _run_as_init(spec)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF


def _open_sources(binds: list[dict[str, Any]]) -> dict[str, int]:
    """Open every path to be shown; a bind through the descriptor needs no path walk later."""
    wanted = [d for d in HOST_DIRECTORIES if Path(d).is_dir() and not Path(d).is_symlink()]
    wanted += [f"/dev/{name}" for name in DEVICES] + ["/proc"]
    resolver = Path("/etc/resolv.conf").resolve()
    if resolver.exists() and not str(resolver).startswith("/etc/"):
        wanted.append(str(resolver))
    wanted += [b["source"] for b in binds]
    return {path: os.open(path, os.O_PATH) for path in dict.fromkeys(wanted)}


def _become_root() -> None:
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    # Changing ids made /proc/self belong to the outer root, where the binds go through, and
    # cut the cord that ends us with our parent.
    sc.prctl(sc.PR_SET_DUMPABLE, 1)
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0o022)


class NoName(OSError):
    """The namespace may not have a host name of its own."""


def _take_name() -> None:
    """Be called HOSTNAME. Raises NoName; where the name is that already, nothing is asked for."""
    if socket.gethostname() != HOSTNAME:
        try:
            socket.sethostname(HOSTNAME)
        except OSError as error:
            raise NoName(error.errno, f"sethostname: {error.strerror}") from error


def _build_view(binds: list[dict[str, Any]], sources: dict[str, int]) -> None:
    _take_name()
    sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE)
    sc.mount("view", VIEW, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=0755,size=1g")
    view = Path(VIEW)
    for name in HOST_DIRECTORIES:
        if Path(name).is_symlink():
            (view / name[1:]).symlink_to(Path(name).readlink())
    explicit = {b["source"]: b for b in binds}
    # Parents first, so that a bind below another one is not hidden by it.
    for path in sorted(sources, key=lambda p: explicit.get(p, {}).get("target") or p):
        if path == "/proc":
            continue
        wish = explicit.get(path, {})
        target = view / (wish.get("target") or path).lstrip("/")
        sc.mount_point(target, like=Path(f"/proc/self/fd/{sources[path]}"))
        sc.bind(f"/proc/self/fd/{sources[path]}", str(target))
        # Root of a container is root in here too, and the programs are its own.
        if wish.get("access") != "read-write" and not path.startswith("/dev/"):
            sc.make_read_only(str(target))
    for name, mode in (("tmp", 0o1777), ("var/tmp", 0o1777), ("run", 0o755), ("dev/shm", 0o1777)):
        (view / name).mkdir(parents=True, exist_ok=True)
        (view / name).chmod(mode)
    (view / "var/lib").mkdir(exist_ok=True)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (view / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    (view / "dev/fd").symlink_to("/proc/self/fd")
    (view / "proc").mkdir()
    mount_proc(str(view / "proc"), fallback=sources["/proc"])
    sc.pivot_into(VIEW)
    for fd in sources.values():
        os.close(fd)


def mount_proc(target: str, *, fallback: int) -> None:
    """A /proc of our PID namespace; the host's where a container masks parts of its own."""
    try:
        sc.mount("proc", target, "proc", sc.MS_NOSUID | sc.MS_NODEV | sc.MS_NOEXEC)
    except PermissionError:
        sc.bind(f"/proc/self/fd/{fallback}", target)


def _run_as_init(spec: Mapping[str, Any]) -> int:
    """Be PID 1: start the task, bury orphans, end with the task's status."""
    os.chdir("/")
    task = os.fork()
    if task == 0:
        if "module" in spec:
            carry_out(Call(spec["module"], tuple(spec["words"])))
        _become(spec["words"], spec["environment"])
    while True:
        with contextlib.suppress(ChildProcessError):
            pid, status = os.wait()
            if pid == task:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code


def _become(words: list[str], environment: Mapping[str, str]) -> NoReturn:
    try:
        os.execvpe(words[0], words, environment)
    except OSError as error:
        os.write(2, f"{words[0]}: {error.strerror}\n".encode())
        os._exit(127)
