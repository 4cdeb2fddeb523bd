"""What a tool sees that is run from a tools tree: the tree's programs, all else of the host.

    /usr /etc /bin /sbin /lib*     the tools tree's
    everything else                as where the step runs

So a tool loads its libraries, its configuration and its helpers from the tree, and the paths
it is given are right. It is entered between fork and exec: the step itself, which is Python,
stays where it is.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from kiwilite.build import syscalls as sc

TREE_FOLDERS: Final = ("usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""What lies here on the host no tool of a tree can see."""

_VIEW: Final = "/tmp"
"""Where the view is put together: any directory that surely exists."""

_FAILED: Final = 125


def hides(path: Path) -> bool:
    """Whether a tool of a tree cannot see `path` of the host."""
    parts = path.resolve().parts
    return len(parts) > 1 and parts[1] in TREE_FOLDERS


def enter_view(tools: Path, folder: Path) -> None:
    """Give this process the view, with `folder` as its current one; it ends where that fails.

    For a process that was just forked: what goes wrong is said on its standard error.
    """
    try:
        _unshare()
        _build(tools)
        os.chdir(folder)
    except OSError as error:
        os.write(2, f"cannot enter the tools tree: {error}\n".encode())
        os._exit(_FAILED)


def _unshare() -> None:
    """A mount namespace of our own, with a user namespace around it where it takes one.

    There the caller has the ids it had, so that files it makes are its own.
    """
    uid, gid = os.geteuid(), os.getegid()
    try:
        sc.unshare(sc.CLONE_NEWNS)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        sc.unshare(sc.CLONE_NEWUSER | sc.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE)


def _build(tools: Path) -> None:
    wanted = [path for path in Path("/").iterdir() if path.name not in TREE_FOLDERS]
    wanted += [tools / name for name in TREE_FOLDERS if os.path.lexists(tools / name)]
    # Read and opened before the view hides where it is put together.
    links = {path.name: path.readlink() for path in wanted if path.is_symlink()}
    opened = {p.name: os.open(p, os.O_PATH) for p in wanted if p.name not in links}
    sc.mount("view", _VIEW, "tmpfs", sc.MS_NOSUID | sc.MS_NODEV, "mode=0755,size=1m")
    # Else it would be part of what is bound into it, and hide what lies below its place.
    sc.mount("none", _VIEW, None, sc.MS_UNBINDABLE)
    for name, link in links.items():
        Path(_VIEW, name).symlink_to(link)
    for name, fd in opened.items():
        source, target = Path(f"/proc/self/fd/{fd}"), Path(_VIEW, name)
        sc.mount_point(target, like=source)
        sc.bind(str(source), str(target))
        os.close(fd)
    sc.pivot_into(_VIEW)
