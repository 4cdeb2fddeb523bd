"""The way into the user namespace in which every stage that touches a root tree runs.

The namespace has 65536 ids of its own. Started by an ordinary user, its root is
that user and the rest comes from /etc/subuid through newuidmap; started by root,
its root is an unprivileged id of the range set aside for foreign system trees.
Either way the code inside has the same powers: all over its own ids, none over
the host's. Inside, `/` is a fresh tmpfs with the host's programs and the paths the
caller names, nothing else.

                 host                         namespace
    run_inside ─▶ python -m …enter  ─ unshare ─▶ map ids ─▶ mounts ─▶ pivot_root ─▶ command
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from kiwilite.build.children import attended
from kiwilite.build.network import Network
from kiwilite.build.python import import_path, python_command
from kiwilite.errors import HostError

Access = Literal["read-only", "read-write"]

ID_COUNT = 65536
FOREIGN_BASE = 0x7FFE0000
"""First id of systemd's range for trees of foreign systems; used when root starts a build."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A host path made visible inside, at the same place unless `target` says otherwise."""

    source: str
    access: Access = "read-only"
    target: str | None = None


@dataclass(frozen=True, slots=True)
class IdMap:
    """Which host id is root inside, and where the other 65535 come from."""

    root: int
    first: int
    """Host id of id 1 inside."""

    def lines(self) -> list[tuple[int, int, int]]:
        """(inside, outside, count) rows as uid_map wants them."""
        return [(0, self.root, 1), (1, self.first, ID_COUNT - 1)]


def subordinate_range(table: Path, names: Sequence[str]) -> tuple[int, int] | None:
    """First (start, count) of /etc/subuid or /etc/subgid for any of `names` with enough ids."""
    with contextlib.suppress(OSError):
        for line in table.read_text().splitlines():
            name, _, numbers = line.strip().partition(":")
            start, _, count = numbers.partition(":")
            if name not in names or not (start.isdigit() and count.isdigit()):
                continue
            if int(count) >= ID_COUNT - 1:
                return int(start), int(count)
    return None


def _login_names() -> list[str]:
    import pwd

    uid = os.geteuid()
    with contextlib.suppress(KeyError):
        return [pwd.getpwuid(uid).pw_name, str(uid)]
    return [str(uid)]


def id_maps() -> tuple[IdMap, IdMap]:
    """The uid and gid maps this caller may have; HostError with the remedy where there are none."""
    if os.geteuid() == 0:
        same = IdMap(FOREIGN_BASE, FOREIGN_BASE + 1)
        return same, same
    names = _login_names()
    maps = []
    for table, own in (("/etc/subuid", os.geteuid()), ("/etc/subgid", os.getegid())):
        found = subordinate_range(Path(table), names)
        if found is None:
            raise HostError(
                f"user {names[0]} has no range of {ID_COUNT - 1} subordinate ids in {table}",
                hint=f"as root: usermod --add-subuids 100000-165535 "
                f"--add-subgids 100000-165535 {names[0]}",
            )
        maps.append(IdMap(own, found[0]))
    return maps[0], maps[1]


def _write_maps(pid: int, uids: IdMap, gids: IdMap) -> None:
    for kind, table in (("uid", uids), ("gid", gids)):
        if os.geteuid() == 0:
            rows = "".join(f"{a} {b} {n}\n" for a, b, n in table.lines())
            Path(f"/proc/{pid}/{kind}_map").write_text(rows)
            continue
        flat = [str(number) for row in table.lines() for number in row]
        try:
            done = subprocess.run(
                [f"new{kind}map", str(pid), *flat], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise HostError(
                f"new{kind}map is not installed", hint="apt-get install uidmap"
            ) from error
        if done.returncode != 0:
            raise HostError(
                f"new{kind}map refused: {done.stderr.strip()}",
                hint=f"check the ranges in /etc/sub{kind} and that newuidmap is setuid root",
            )


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
    command: Sequence[str],
    *,
    binds: Sequence[Bind],
    environment: Mapping[str, str],
    log: IO[bytes] | int,
    network: Network = "online",
) -> Finished:
    """Run `command` as root of a fresh user, mount, PID, IPC and UTS namespace.

    Online the network stays the host's: code that may not have it is started from inside in
    a network namespace of its own. Offline there is nothing but a loopback device. Raises
    HostError when the host does not allow the namespace; a failing command is not an error
    here.
    """
    uids, gids = id_maps()
    spec_read, spec_write = os.pipe()
    go_read, go_write = os.pipe()
    up_read, up_write = os.pipe()
    spec = {
        "command": list(command),
        "binds": [asdict(b) for b in [*python_binds(), *binds]],
        "environment": dict(environment),
        "network": network,
    }
    fds = (spec_read, go_read, up_write)
    child = subprocess.Popen(
        python_command("kiwilite.build.enter", *map(str, fds)),
        env={**os.environ, "PYTHONPATH": import_path()},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        pass_fds=fds,
        start_new_session=True,
    )
    with attended(child):
        for fd in fds:
            os.close(fd)
        with os.fdopen(spec_write, "wb") as stream, contextlib.suppress(BrokenPipeError):
            stream.write(json.dumps(spec).encode())
        with os.fdopen(up_read, "rb") as status:
            _follow(child, status, go_write, uids, gids)
        return Finished(child.wait())


def _follow(
    child: subprocess.Popen[bytes], status: IO[bytes], go: int, uids: IdMap, gids: IdMap
) -> None:
    """Hand the child its id maps when it asks, and turn its complaint into a HostError."""
    with os.fdopen(go, "wb") as gate:
        first = status.readline()
        if first == b"unshared\n":
            _write_maps(child.pid, uids, gids)
            gate.write(b"mapped\n")
            gate.flush()
            complaint = status.read()
        else:
            complaint = first + status.read() or b"the process ended before it said why"
    if complaint:
        text = complaint.decode(errors="replace").strip()
        raise HostError(
            f"this host does not allow the user namespace the build runs in: {text}",
            hint="`kiwilite doctor` names the setting and its remedy",
        )
