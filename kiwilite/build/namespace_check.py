"""Whether this host lets a build have its user namespace, and the remedy where it does not.

The proof is to enter one. The kernel's switches and the ids are shown beside it, and
`namespace_causes` names the cause where it fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kiwilite.build.findings import Finding, Verdict
from kiwilite.build.ids import LEAST, ids_here, map_of_root, names_of, subordinate_ranges, usermod
from kiwilite.build.namespace_causes import SWITCHES, Surroundings, Switch, surroundings
from kiwilite.build.sandbox import run_inside
from kiwilite.build.starter import Program, serving
from kiwilite.errors import HostError

GROUP = "user namespaces"


def examine_namespaces() -> Iterator[Finding]:
    """Findings about the namespace, the switches and the ranges of ids of this user."""
    refused = _refused()
    yield from _ranges()
    yield from (examine_switch(s, surroundings(), works=refused is None) for s in SWITCHES)
    if refused is None:
        what = "entered, as a build does"
        yield Finding(GROUP, "namespace", Verdict.FINE, what, "every step that touches a tree")
    else:
        yield Finding(GROUP, "namespace", Verdict.BROKEN, refused.message, remedy=refused.hint)


def _refused() -> HostError | None:
    """Why the namespace of a build cannot be entered; None when it can."""
    try:
        with Path(os.devnull).open("wb") as log, serving() as starter:
            task = Program(("true",), {"PATH": "/usr/bin:/bin"})
            ended = run_inside(task, binds=[], log=log, starter=starter)
    except HostError as error:
        return error
    if ended.status == 0:
        return None
    return HostError(f"a program inside ended with status {ended.status}")


def examine_switch(switch: Switch, found: Surroundings, *, works: bool) -> Finding:
    """What a kernel setting says; blocking only counts where the namespace does not work."""
    value = found.settings.get(switch.name)
    if value is None:
        return Finding(GROUP, switch.name, Verdict.FINE, "this kernel has no such setting")
    if works or not found.is_blocked_by(switch):
        return Finding(GROUP, switch.name, Verdict.FINE, value, switch.meaning)
    remedy = f"as root: {switch.remedy}"
    return Finding(GROUP, switch.name, Verdict.BROKEN, value, switch.meaning, remedy=remedy)


def _ranges() -> Iterator[Finding]:
    tables = (Path("/etc/subuid"), Path("/etc/subgid"))
    if os.geteuid() != 0:
        yield from (examine_range(table, os.geteuid()) for table in tables)
        return
    for kind in ("uid", "gid"):
        name = f"root's {kind}s"
        try:
            found = map_of_root(ids_here(Path(f"/proc/self/{kind}_map")))
        except HostError as error:
            yield Finding(GROUP, name, Verdict.BROKEN, error.message, remedy=error.hint)
        else:
            yield Finding(GROUP, name, Verdict.FINE, f"{found.root} is root of a tree")


def examine_range(table: Path, uid: int) -> Finding:
    """The subordinate ids that `table` gives to the user, enough or not."""
    purpose, names = "the ids of a tree", names_of(uid)
    found = subordinate_ranges(table, names)
    if found is not None:
        text = " and ".join(f"{r.count} ids from {r.first}" for r in found)
        return Finding(GROUP, str(table), Verdict.FINE, text, purpose)
    what, remedy = f"{names[0]} has no {LEAST} ids", f"as root: {usermod(table, names[0])}"
    return Finding(GROUP, str(table), Verdict.BROKEN, what, purpose, remedy=remedy)
