"""The way into the user namespace in which every stage that touches a root tree runs.

The namespace has 65536 ids of its own (`ids`). Started by an ordinary user, its root is
that user and the rest comes from /etc/subuid through newuidmap; started by root,
its root is an unprivileged id of the range set aside for foreign system trees.
Either way the code inside has the same powers: all over its own ids, none over
the host's. Inside, `/` is a fresh tmpfs with the host's programs, read-only, and the
paths the caller names, nothing else.

                 host                         namespace
    run_inside ─▶ starter ─▶ enter  ─ unshare ─▶ map ids ─▶ mounts ─▶ pivot_root ─▶ task
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from kiwilite.build.children import attended
from kiwilite.build.ids import IdMap, id_maps
from kiwilite.build.namespace_causes import Point, refusal, refused_map, surroundings
from kiwilite.build.network import Network
from kiwilite.build.starter import Call, Program, Starter

Access = Literal["read-only", "read-write"]
Task = Call | Program
ENTER = "kiwilite.build.enter"


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path made visible inside, at the same place unless `target` says otherwise."""

    source: str
    access: Access = "read-only"
    target: str | None = None


def _write_maps(pid: int, uids: IdMap, gids: IdMap) -> None:
    """Give the namespace of a process its ids. HostError with the remedy where that is refused."""
    for kind, table in (("uid", uids), ("gid", gids)):
        if os.geteuid() == 0:
            rows = "".join(f"{a} {b} {n}\n" for a, b, n in table.lines())
            try:
                Path(f"/proc/{pid}/{kind}_map").write_text(rows)
            except OSError as error:
                raise refusal(Point.MAP, str(error), error.errno, surroundings()) from error
            continue
        flat = [str(number) for row in table.lines() for number in row]
        program = f"new{kind}map"
        try:
            done = subprocess.run(
                [program, str(pid), *flat], capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise refused_map(program, str(error), surroundings()) from error
        if done.returncode != 0:
            raise refused_map(program, done.stderr.strip(), surroundings())


def python_binds() -> list[Bind]:
    """What this interpreter and this package need to run inside."""
    import kiwilite

    paths = {sys.prefix, sys.base_prefix, str(Path(kiwilite.__file__).resolve().parent)}
    paths |= {p for p in sys.path if p.endswith("-packages") and Path(p).is_dir()}
    outside_usr = sorted(p for p in paths if not p.startswith("/usr/"))
    return [Bind(p) for p in outside_usr]


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command inside ended; its combined output went to the log."""

    status: int


def run_inside(
    task: Task,
    *,
    binds: Sequence[Bind],
    log: IO[bytes],
    starter: Starter,
    network: Network = "online",
) -> Finished:
    """Run `task` as root of a fresh user, mount, PID, IPC and UTS namespace.

    Online the network stays the host's: code that may not have it is started from inside in
    a network namespace of its own. Offline there is nothing but a loopback device. Raises
    HostError when the host does not allow the namespace; a failing task is not an error
    here.
    """
    uids, gids = id_maps()
    spec_read, spec_write = os.pipe()
    go_read, go_write = os.pipe()
    up_read, up_write = os.pipe()
    spec = {
        **asdict(task),
        "binds": [asdict(b) for b in [*python_binds(), *binds]],
        "network": network,
    }
    fds = (spec_read, go_read, up_write)
    child = starter.start(_enter_for(task), log=log.fileno(), fds=fds)
    with attended(child):
        for fd in fds:
            os.close(fd)
        with os.fdopen(spec_write, "wb") as stream, contextlib.suppress(BrokenPipeError):
            stream.write(json.dumps(spec).encode())
        with os.fdopen(up_read, "rb") as status:
            _follow(child.pid, status, go_write, uids, gids)
        return Finished(child.wait())


def _enter_for(task: Task) -> Call:
    """The call that enters, in a process that has loaded what the task needs."""
    return Call(ENTER, imports=(task.module, *task.imports) if isinstance(task, Call) else ())


def _follow(child: int, status: IO[bytes], go: int, uids: IdMap, gids: IdMap) -> None:
    """Hand the child its id maps when it asks, and turn its complaint into a HostError."""
    with os.fdopen(go, "wb") as gate:
        line = status.readline()
        if line == b"unshared\n":
            _write_maps(child, uids, gids)
            gate.write(b"mapped\n")
            gate.flush()
            line = status.readline()
            if not line:
                return
    if not line:
        raise refusal(Point.MAKE, "the process ended before it said why", None, surroundings())
    name, number, said = json.loads(line)
    raise refusal(Point[name], said, number, surroundings())
