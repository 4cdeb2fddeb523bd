"""The few system calls Python 3.11 has no wrapper for: namespaces and mounts.

Flag values from <linux/sched.h>, <sys/mount.h> and <sys/prctl.h>.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4

_SYNC_FILE_RANGE_WRITE = 2  # <linux/fs.h>

_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move this process into new namespaces (CLONE_NEW* flags)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """mount(2); `kind` is None for binds and remounts."""
    result = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _check(result, f"mount {kind or 'bind'} on {target}")


def umount_lazily(target: str) -> None:
    """Detach a mount now and drop it when it is no longer busy."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"umount {target}")


def pivot_into(new_root: str) -> None:
    """Make `new_root` (a mount point) the root directory and let go of the old one."""
    os.chdir(new_root)
    number = _SYS_PIVOT_ROOT[os.uname().machine]
    _check(_libc.syscall(ctypes.c_long(number), b".", b"."), f"pivot_root to {new_root}")
    umount_lazily(".")
    os.chdir("/")


def prctl(option: int, value: int, pointer: int = 0) -> None:
    """prctl(2) with one argument, or two."""
    words = (ctypes.c_ulong(value), ctypes.c_ulong(pointer), ctypes.c_ulong(0), ctypes.c_ulong(0))
    _check(_libc.prctl(ctypes.c_int(option), *words), "prctl")


def make_read_only(target: str) -> None:
    """Remount a bind read-only; flags locked by the parent namespace are kept as they are."""
    kept = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("none", target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | kept)


def loopback_up() -> None:
    """Switch on `lo` in a fresh network namespace (SIOCGIFFLAGS, SIOCSIFFLAGS; IFF_UP is 1)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(sock, 0x8913, request))[1]
        fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))


def bind(source: str, target: str) -> None:
    """Bind-mount `source` (with what is mounted below it) on an existing `target`."""
    mount(source, target, None, MS_BIND | MS_REC)


def mount_point(target: Path, *, like: Path) -> None:
    """Create what a bind mount on `target` needs: a directory or an empty file, as `like` is."""
    if target.exists():
        return
    if like.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def start_writing(fd: int) -> None:
    """Let the kernel begin to write a file to the disk, and do not wait for it.

    Nothing depends on it, so nothing is raised where it cannot be done.
    """
    _libc.sync_file_range(fd, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)
