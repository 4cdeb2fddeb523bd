"""`<include>`: the children of another file's `<image>`, in the place of the element."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.reader import parse
from kiwilite.description.source import read_source
from kiwilite.description.tree import Node

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")

MAX_FILES = 64
"""Files one description may be made of."""


def resolve_includes(root: Node) -> tuple[Node, list[Diagnostic]]:
    """`root` with every `<include>` replaced; nodes keep the file they came from.

    The includes that cannot be resolved are left out and reported: at the element
    when the file is missing, in the included file when that one is wrong.
    """
    problems: list[Diagnostic] = []
    budget = [MAX_FILES]
    children = _splice(root, (_identity(root.file),), problems, budget)
    return replace(root, children=children), problems


def _identity(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError):
        return file.absolute()


def _splice(
    root: Node, chain: tuple[Path, ...], problems: list[Diagnostic], budget: list[int]
) -> tuple[Node, ...]:
    children: list[Node] = []
    for child in root.children:
        if child.name == "include" and child.get("from") is not None:
            children.extend(_included(child, chain, problems, budget))
        else:
            children.append(child)
    return tuple(children)


def _included(
    include: Node, chain: tuple[Path, ...], problems: list[Diagnostic], budget: list[int]
) -> tuple[Node, ...]:
    """The nodes that stand for `include`."""
    here = include.attribute_span("from")
    address = include.get("from") or ""
    target = _target(address, include.file.parent)
    if target is None:
        message = f"`{address}` is not an address that can be included"
        hint = "write file://PATH or this://PATH, relative to this file"
        problems.append(Diagnostic(here, "error", "KL0011", message, hint))
        return ()
    identity = _identity(target)
    budget[0] -= 1
    if identity in chain or budget[0] < 0:
        message = f"`{address}` leads back to a file that includes this one"
        if budget[0] < 0:
            message = f"the description is made of more than {MAX_FILES} files"
        problems.append(Diagnostic(here, "error", "KL0012", message))
        return ()
    if not is_file(target):
        problems.append(Diagnostic(here, "error", "KL0011", f"the file {target} is missing"))
        return ()
    try:
        root = parse(read_source(target))
    except DescriptionInvalid as error:
        problems.extend(error.diagnostics)
        return ()
    if root.name != "image":
        message = f"an included file has an `<image>` as its outermost element, not `<{root.name}>`"
        problems.append(Diagnostic(root.span, "error", "KL0011", message))
        return ()
    return _splice(root, (*chain, identity), problems, budget)


def _target(address: str, directory: Path) -> Path | None:
    """The file that `address` means, which may also be a plain path, as KIWI has it."""
    found = local_path(address, directory)
    path = address.removeprefix("file:")
    if found is not None or not path or _SCHEME.match(path) or "\0" in path:
        return found
    return directory / path


def is_file(path: Path) -> bool:
    """Whether `path` is a regular file; a path the system refuses is none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def local_path(address: str, directory: Path) -> Path | None:
    """The path that a file:// or this:// `address` means, or None for another scheme."""
    for scheme in ("file://", "this://"):
        if address.startswith(scheme) and "\0" not in address:
            rest = address.removeprefix(scheme)
            if scheme == "this://":
                rest = rest.lstrip("/")
            return directory / rest if rest else None
    return None
