"""Whether this host lets a build have its user namespace, and the remedy where it does not.

The proof is to enter one. The kernel's switches and the tables of subordinate ids are
read to name the cause where that fails.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.findings import Finding, Verdict
from kiwilite.build.sandbox import FOREIGN_BASE, ID_COUNT, run_inside, subordinate_range
from kiwilite.errors import HostError

GROUP = "user namespaces"
SETTINGS_FILE = "/etc/sysctl.d/60-kiwilite.conf"


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


SWITCHES = (
    Switch("user.max_user_namespaces", "0", "15000", "how many there may be", True),
    Switch("kernel.unprivileged_userns_clone", "0", "1", "ordinary users may make them", False),
    Switch(
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "0",
        "AppArmor takes their powers away",
        False,
    ),
)


def examine_namespaces() -> Iterator[Finding]:
    """Findings about the namespace, the switches and the ranges of ids of this user."""
    complaint = _complaint()
    causes = list(_ranges())
    causes += [examine_switch(s, Path("/proc/sys"), works=complaint is None) for s in SWITCHES]
    yield from causes
    if complaint is None:
        what = "entered, as a build does"
        yield Finding(GROUP, "namespace", Verdict.FINE, what, "every step that touches a tree")
        return
    remedy = "in a container: let it make user namespaces; in a chroot it cannot be done"
    if any(cause.verdict is Verdict.BROKEN for cause in causes):
        remedy = "do what is said for the settings and tables above"
    yield Finding(GROUP, "namespace", Verdict.BROKEN, complaint, remedy=remedy)


def _complaint() -> str | None:
    """Why the namespace of a build cannot be entered; None when it can."""
    try:
        with Path(os.devnull).open("wb") as log:
            environment = {"PATH": "/usr/bin:/bin"}
            ended = run_inside(["true"], binds=[], environment=environment, log=log)
    except HostError as error:
        return error.message
    return None if ended.status == 0 else f"a program inside ended with status {ended.status}"


def examine_switch(switch: Switch, proc_sys: Path, *, works: bool) -> Finding:
    """What a kernel setting says; blocking only counts where the namespace does not work."""
    try:
        value = (proc_sys / switch.path).read_text().strip()
    except OSError:
        return Finding(GROUP, switch.name, Verdict.FINE, "this kernel has no such setting")
    applies = switch.binds_root or os.geteuid() != 0
    if value != switch.blocking or works or not applies:
        return Finding(GROUP, switch.name, Verdict.FINE, value, switch.meaning)
    remedy = f"as root: {switch.remedy}"
    return Finding(GROUP, switch.name, Verdict.BROKEN, value, switch.meaning, remedy=remedy)


def _ranges() -> Iterator[Finding]:
    tables = (Path("/etc/subuid"), Path("/etc/subgid"))
    if os.geteuid() == 0:
        what = f"not needed by root: {FOREIGN_BASE} and up"
        for table in tables:
            yield Finding(GROUP, str(table), Verdict.FINE, what)
        return
    user = pwd.getpwuid(os.geteuid()).pw_name
    for table in tables:
        yield examine_range(table, user, os.geteuid(), tables)


def examine_range(table: Path, user: str, uid: int, tables: tuple[Path, ...]) -> Finding:
    """The subordinate ids that `table` gives to the user, enough or not."""
    found = subordinate_range(table, [user, str(uid)])
    if found is not None:
        text = f"{found[1]} ids from {found[0]}"
        return Finding(GROUP, str(table), Verdict.FINE, text, "the ids of a tree")
    first = first_free_id(tables)
    option = "--add-subuids" if table.name == "subuid" else "--add-subgids"
    remedy = f"as root: usermod {option} {first}-{first + ID_COUNT - 1} {user}"
    what = f"{user} has no range of {ID_COUNT - 1} ids"
    return Finding(GROUP, str(table), Verdict.BROKEN, what, "the ids of a tree", remedy=remedy)


def first_free_id(tables: tuple[Path, ...]) -> int:
    """The first id behind all ranges of the tables, 100000 where they are empty."""
    ends = [100000]
    for table in tables:
        lines = table.read_text().splitlines() if table.exists() else []
        rows = [line.split(":") for line in lines if line.count(":") == 2]
        ends += [int(r[1]) + int(r[2]) for r in rows if r[1].isdigit() and r[2].isdigit()]
    return max(ends)
