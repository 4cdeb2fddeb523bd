"""Runs a program of the image inside its tree; only called from within the namespace.

The program sees the tree as `/`, a private /proc, /dev, /run and /tmp, the binds it is
given, and a network only where that is said. Nothing it leaves in those mounts stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NoReturn

from kiwilite.build import syscalls as sc
from kiwilite.build.enter import DEVICES, mount_proc
from kiwilite.build.job import BASE_ENVIRONMENT, Job, failure

Network = Literal["none", "host"]


def run_in_tree(
    job: Job,
    tree: Path,
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    network: Network = "none",
    binds: Mapping[str, Path] | None = None,
) -> str:
    """Run `command` with `tree` as its root; returns what it printed.

    `binds` maps absolute paths inside to files or folders outside. Raises StageFailed
    (or NoSpace) when the command does not end with 0.
    """
    with _resolver_place(tree) if network == "host" else contextlib.nullcontext():
        status, output = _run(tree, command, environment or {}, network, binds or {})
    job.note(f"+ (in tree) {' '.join(command)}\n{output}")
    if status != 0:
        raise failure(command[0], status, output)
    return output


def _run(
    tree: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    network: Network,
    binds: Mapping[str, Path],
) -> tuple[int, str]:
    """Exit status and output of the command."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _child(
            tree, command, {**BASE_ENVIRONMENT, **(environment or {})}, network, binds or {}, write
        )
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        output = stream.read().decode(errors="replace")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output


def _child(
    tree: Path,
    command: Sequence[str],
    environment: Mapping[str, str],
    network: Network,
    binds: Mapping[str, Path],
    out: int,
) -> NoReturn:
    """In the forked process: enter the tree, be PID 1 there, and never come back."""
    status = 125
    try:
        os.dup2(out, 1)
        os.dup2(out, 2)
        flags = sc.CLONE_NEWNS | sc.CLONE_NEWPID | sc.CLONE_NEWIPC | sc.CLONE_NEWUTS
        sc.unshare(flags | (sc.CLONE_NEWNET if network == "none" else 0))
        if network == "none":
            sc.loopback_up()
        pid = os.fork()
        if pid != 0:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF
            os._exit(status)
        sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGKILL)
        _enter(tree, network, binds)
        status = subprocess.call(
            list(command), env=dict(environment), stdin=subprocess.DEVNULL, cwd="/"
        )
        status = status if status >= 0 else 128 - status
    except FileNotFoundError as error:
        os.write(2, f"{error.filename}: not found in the tree\n".encode())
        status = 127
    except OSError as error:
        os.write(2, f"cannot enter the tree: {error}\n".encode())
    finally:
        os._exit(status)


def _enter(tree: Path, network: Network, binds: Mapping[str, Path]) -> None:
    outside = os.open("/proc", os.O_PATH)
    root = str(tree)
    sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE)
    sc.bind(root, root)
    for name, options in (("dev", "mode=0755"), ("run", "mode=0755"), ("tmp", "mode=1777")):
        (tree / name).mkdir(exist_ok=True)
        sc.mount(name, f"{root}/{name}", "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, options)
    _devices(tree)
    (tree / "proc").mkdir(exist_ok=True)
    mount_proc(f"{root}/proc", fallback=outside)
    for inside, source in binds.items():
        target = tree / inside.lstrip("/")
        sc.mount_point(target, like=source)
        sc.bind(str(source), str(target))
    if network == "host":
        _lend_resolver(tree)
    sc.pivot_into(root)


def _devices(tree: Path) -> None:
    for name in DEVICES:
        target = tree / "dev" / name
        target.touch()
        sc.bind(f"/dev/{name}", str(target))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (tree / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    (tree / "dev/fd").symlink_to("/proc/self/fd")
    (tree / "dev/shm").mkdir()
    (tree / "dev/shm").chmod(0o1777)
    (tree / "dev/pts").mkdir()
    sc.mount("devpts", str(tree / "dev/pts"), "devpts", sc.MS_NOSUID, "newinstance,ptmxmode=0666")
    (tree / "dev/ptmx").symlink_to("pts/ptmx")


@contextlib.contextmanager
def _resolver_place(tree: Path) -> Iterator[None]:
    """A file to bind the host's resolv.conf on, for as long as it takes."""
    place = tree / "etc/resolv.conf"
    if place.exists() or place.is_symlink():
        yield
        return
    place.touch()
    try:
        yield
    finally:
        place.unlink()


def _lend_resolver(tree: Path) -> None:
    """Show the host's resolv.conf, wherever the tree's own link to it points."""
    target = tree / "etc/resolv.conf"
    if target.is_symlink():
        link = str(target.readlink())
        target = tree / link.lstrip("/") if link.startswith("/") else tree / "etc" / link
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    sc.bind(str(Path("/etc/resolv.conf").resolve()), str(target))
