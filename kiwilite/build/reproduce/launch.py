"""Started for one build: takes on what a process can only give itself, then becomes Python.

    python -m kiwilite.build.reproduce.launch SPECIFICATION WORD...

The specification is JSON, see `Circumstances`. The words are those behind `python`.
"""

from __future__ import annotations

import json
import os
import pwd
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kiwilite.build import syscalls as sc


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a process takes on before it builds; None leaves it as it is."""

    umask: int | None = None
    hostname: str | None = None
    processors: Sequence[int] | None = None
    user: str | None = None
    visible: Sequence[str] = ()
    """What `user` has to reach, wherever it lies."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Added to the environment last: what is preloaded need not see the rest of this."""

    def command(self, *words: str) -> list[str]:
        """The command line that runs this Python with `words` under these circumstances."""
        spec = json.dumps(asdict(self))
        return [sys.executable, "-m", "kiwilite.build.reproduce.launch", spec, *words]


def main(argv: Sequence[str]) -> None:
    """Take it all on; does not come back."""
    wanted = Circumstances(**json.loads(argv[0]))
    if wanted.hostname is not None:
        sc.unshare(sc.CLONE_NEWUTS)
        socket.sethostname(wanted.hostname)
    if wanted.processors is not None:
        os.sched_setaffinity(0, wanted.processors)
    if wanted.user is not None:
        become(wanted.user, wanted.visible)
    if wanted.umask is not None:  # not before: it would bar what is uncovered for the user
        os.umask(wanted.umask)
    sc.prctl(sc.PR_SET_PDEATHSIG, signal.SIGTERM)  # becoming somebody else undoes it
    os.environ.update(wanted.variables)
    os.execv(sys.executable, [sys.executable, *argv[1:]])


def become(name: str, visible: Iterable[str]) -> None:
    """Be another user, who sees these paths even where only root may pass."""
    entry = pwd.getpwnam(name)
    uncover(map(Path, visible), entry.pw_uid)
    os.initgroups(name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)


def uncover(paths: Iterable[Path], uid: int) -> None:
    """In a mount namespace of our own: let `uid` see these paths, wherever they lie."""
    sc.unshare(sc.CLONE_NEWNS)
    sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE)
    for spot, below in barred(paths, uid).items():
        _uncover(spot, below)
    os.chdir(Path.cwd())  # from below what was hidden to the same folder above it


def barred(paths: Iterable[Path], uid: int) -> dict[Path, list[Path]]:
    """Folders that `uid` may not pass, each with those of the paths that lie below it."""
    found: dict[Path, list[Path]] = {}
    for path in sorted(set(paths)):
        for folder in reversed(path.parents):
            status = folder.stat()
            if not (status.st_mode & 0o001 or status.st_uid == uid):
                found.setdefault(folder, []).append(path)
                break
    return found


def _uncover(spot: Path, paths: Iterable[Path]) -> None:
    """In our mount namespace: hide a folder under an empty one that has only these paths."""
    held = {path: os.open(path, os.O_PATH) for path in paths}
    sc.mount("uncovered", str(spot), "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=0755")
    for path, descriptor in held.items():
        source = f"/proc/self/fd/{descriptor}"
        sc.mount_point(path, like=Path(source))
        sc.bind(source, str(path))
        os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
