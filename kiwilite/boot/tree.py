"""Look into a root tree from outside, the way its own kernel would see it.

Symbolic links are followed inside the tree, absolute ones too; the host's file
system is never reached through them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kiwilite.errors import KiwiliteError

_MAX_LINKS = 40  # as in Linux


class LinkLoop(KiwiliteError):
    """Following symbolic links in the tree does not come to an end."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path leads inside the tree.

    `path` is relative to the tree and free of symbolic links; `links` are the
    (link, target text) pairs met on the way, in order. Copying the file at `path`
    and these links makes the original path work elsewhere.
    """

    path: str
    links: tuple[tuple[str, str], ...]


def resolve(tree: Path, path: str) -> Resolved:
    """Follow `path` inside `tree`. The end need not exist. Raises LinkLoop."""
    pending = _parts(path)
    done: list[str] = []
    links: list[tuple[str, str]] = []
    while pending:
        part = pending.pop(0)
        if part == "..":
            done = done[:-1]  # ".." of the root is the root
            continue
        here = tree.joinpath(*done, part)
        if not here.is_symlink():
            done.append(part)
            continue
        target = str(here.readlink())
        links.append(("/".join([*done, part]), target))
        if len(links) > _MAX_LINKS:
            raise LinkLoop(f"too many symbolic links on the way to /{path}", where=str(tree))
        pending = _parts(target) + pending
        if target.startswith("/"):
            done = []
    return Resolved("/".join(done), tuple(links))


def find(tree: Path, path: str) -> Resolved | None:
    """As `resolve`, but None where no regular file stands at the end."""
    resolved = resolve(tree, path)
    return resolved if (tree / resolved.path).is_file() else None


def _parts(path: str) -> list[str]:
    return [part for part in PurePosixPath(path).parts if part not in ("/", "")]
