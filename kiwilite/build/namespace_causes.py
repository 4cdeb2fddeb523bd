"""Why a host does not let a build have its user namespace, and the exact remedy.

The kernel says no more than "not permitted" or "no space". What it means follows from its
settings and from what holds for our process; these are read here and judged as values.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kiwilite.errors import HostError

SETTINGS_FILE: Final = "/etc/sysctl.d/60-kiwilite.conf"


_SYS_ADMIN: Final = 1 << 21
"""CAP_SYS_ADMIN in a set of capabilities, from <linux/capability.h>."""


@dataclass(frozen=True, slots=True)
class Switch:
    """A kernel setting that can forbid namespaces: `blocking` is the value that does."""

    name: str
    blocking: str
    wanted: str
    meaning: str
    binds_root: bool

    @property
    def path(self) -> str:
        """Below /proc/sys."""
        return self.name.replace(".", "/")

    @property
    def remedy(self) -> str:
        """The command that sets it, now and at every boot; as root."""
        line = f"{self.name} = {self.wanted}"
        return f"echo '{line}' >>{SETTINGS_FILE} && sysctl --load {SETTINGS_FILE}"


MOST: Final = Switch("user.max_user_namespaces", "0", "15000", "how many there may be", True)
CLONE: Final = Switch(
    "kernel.unprivileged_userns_clone", "0", "1", "ordinary users may make them", False
)
APPARMOR: Final = Switch(
    "kernel.apparmor_restrict_unprivileged_userns",
    "1",
    "0",
    "AppArmor takes their powers away",
    False,
)
SWITCHES: Final = (MOST, CLONE, APPARMOR)


class Point(Enum):
    """How far the way into the namespace went."""

    MAKE = "it cannot be made"
    MAP = "its ids cannot be set"
    NAME = "it cannot have a host name of its own"
    USE = "its root has no powers in it"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What decides about namespaces, as our process has it."""

    uid: int
    settings: Mapping[str, str]
    """Of SWITCHES those that this kernel has."""
    is_filtered: bool = False
    """Whether a seccomp filter looks at our system calls, as in most containers."""
    gains_no_powers: bool = False
    """Whether setuid programs are plain ones for us (no_new_privs)."""
    is_confined: bool = False
    """Whether not even root has CAP_SYS_ADMIN here, as in containers."""

    def is_blocked_by(self, switch: Switch) -> bool:
        """Whether a setting forbids namespaces to us."""
        applies = switch.binds_root or self.uid != 0
        return applies and self.settings.get(switch.name) == switch.blocking


def surroundings(proc: Path = Path("/proc")) -> Surroundings:
    """Look at the kernel's settings and at this process."""
    settings = {}
    for switch in SWITCHES:
        path = proc / "sys" / switch.path
        if path.exists():
            settings[switch.name] = path.read_text().strip()
    rows = (line.partition(":") for line in (proc / "self/status").read_text().splitlines())
    status = {name: value.strip() for name, _, value in rows}
    return Surroundings(
        uid=os.geteuid(),
        settings=settings,
        is_filtered=status.get("Seccomp", "0") != "0",
        gains_no_powers=status.get("NoNewPrivs", "0") != "0",
        is_confined=not int(status.get("CapBnd", "0"), 16) & _SYS_ADMIN,
    )


FILTER_REMEDY: Final = (
    "start the container with --security-opt seccomp=unconfined (or with a profile that allows "
    "unshare, mount and pivot_root), and where the host has AppArmor with "
    "--security-opt apparmor=unconfined"
)


_DECIDING: Final[Mapping[Point, tuple[Switch, ...]]] = {
    Point.MAKE: (MOST, CLONE),
    Point.NAME: (APPARMOR,),
    Point.USE: (APPARMOR,),
}


def refusal(point: Point, said: str, number: int | None, found: Surroundings) -> HostError:
    """The error for a namespace that could not be entered; `said` and `number` are the kernel's."""
    cause, remedy = _cause(point, number, found)
    # ENOSPC says "No space left on device", which it is not about.
    words = f" ({said})" if number != errno.ENOSPC else ""
    return HostError(f"no user namespace for the build: {cause}{words}", hint=remedy)


def _cause(point: Point, number: int | None, found: Surroundings) -> tuple[str, str]:
    """What is in the way, and what to do about it."""
    for switch in filter(found.is_blocked_by, _DECIDING.get(point, ())):
        value = f"{switch.name} is {switch.blocking}"
        return f"the kernel's setting {value}", f"as root: {switch.remedy}"
    if point is Point.MAKE and number == errno.ENOSPC:
        return (
            f"there are as many as {MOST.name} allows here, or too many inside each other",
            f"as root, also of the container that this is: {MOST.remedy}",
        )
    if point is Point.MAP and found.uid == 0:
        return (
            "root of this container may not give ids to a namespace",
            "start the container with --cap-add SETUID,SETGID,SETFCAP, as engines do by default",
        )
    if point is Point.NAME and found.is_filtered:
        return (
            f"a filter of system calls is in the way, {point.value}",
            f"start the container with --hostname localhost; where that is not enough, "
            f"{FILTER_REMEDY.removeprefix('start the container ')}",
        )
    if found.is_filtered:
        return f"a filter of system calls is in the way, {point.value}", FILTER_REMEDY
    return (
        point.value,
        "in a chroot it cannot be done: build outside; else a security module forbids it, and "
        "its log (journalctl -k) says which",
    )


def refused_map(program: str, said: str, found: Surroundings) -> HostError:
    """The error for newuidmap or newgidmap (`program`) that gave no ids, and said why."""
    path = shutil.which(program)
    table = "/etc/subuid" if program == "newuidmap" else "/etc/subgid"
    if path is None:
        return HostError(f"{program} is not installed", hint="as root: apt-get install uidmap")
    if found.gains_no_powers:
        return HostError(
            f"{program} has no powers here: this process may not gain any (no_new_privs)",
            hint="start the container without --security-opt no-new-privileges, the service "
            "without NoNewPrivileges=",
        )
    if not has_powers(Path(path)):
        return HostError(
            f"{path} is neither setuid root nor has it capabilities",
            hint=f"as root: apt-get install --reinstall uidmap, or chmod u+s {path}",
        )
    if os.statvfs(path).f_flag & os.ST_NOSUID:
        return HostError(
            f"{path} has no powers: its file system is mounted nosuid",
            hint="as root: mount -o remount,suid the file system it is on",
        )
    if found.is_confined and not has_capabilities(Path(path)):
        # Debian's writes as root, and root needs CAP_SYS_ADMIN for another user's namespace.
        own = f"cap_set{program[3:6]}=ep"
        return HostError(
            f"{path} is setuid root, which does not suffice in a container: {said}",
            hint=f"as root of the container: chmod u-s {path} && setcap {own} {path}, and the "
            "same for the other of newuidmap and newgidmap; or build as root of the container",
        )
    return HostError(
        f"{program} refused: {said}",
        hint=f"check the ranges in {table}; in a container its ids have to be there as well: "
        "cat /proc/self/uid_map",
    )


def has_powers(program: Path) -> bool:
    """Whether a program runs with more than its caller's powers."""
    status = program.stat()
    if status.st_mode & stat.S_ISUID and status.st_uid == 0:
        return True
    return has_capabilities(program)


def has_capabilities(program: Path) -> bool:
    """Whether a program has capabilities of its own, as setcap gives them."""
    return "security.capability" in os.listxattr(program)
