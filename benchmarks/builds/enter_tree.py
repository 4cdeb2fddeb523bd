"""Runs a command of a root tree with that tree as its root: `TREE FOLDER COMMAND...`.

FOLDER becomes the tree's /mnt, and the working folder. chroot(2) would not do: who makes a
user namespace has to stand at the root of its mounts.
"""

from __future__ import annotations

import os
import sys

from kiwilite.build import syscalls as sc

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
}


def main(tree: str, folder: str, *command: str) -> None:
    """Become the command. Raises OSError where this process may not mount."""
    sc.unshare(sc.CLONE_NEWNS)
    sc.mount("none", "/", None, sc.MS_REC | sc.MS_PRIVATE)
    sc.bind(tree, tree)
    for name in ("proc", "sys", "dev"):
        sc.bind(f"/{name}", f"{tree}/{name}")
    for name in ("run", "tmp"):
        sc.mount("none", f"{tree}/{name}", "tmpfs")
    sc.bind("/etc/resolv.conf", f"{tree}/etc/resolv.conf")
    sc.bind(folder, f"{tree}/mnt")
    sc.pivot_into(tree)
    os.chdir("/mnt")
    os.execvpe(command[0], command, ENVIRONMENT)


if __name__ == "__main__":
    main(*sys.argv[1:])
