"""`<file>` and `<archive>`: what is missing, and what leads out of the description or the tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.profiles import matches
from kiwilite.description.tree import Node
from kiwilite.description.values import permissions


def check_files(sections: Sequence[Node], directory: Path, arch: str) -> Iterator[Diagnostic]:
    """All that can be said of the files of `sections`, which stand in `directory`."""
    for section in sections:
        for node in section.all("file"):
            if matches(node, arch):
                yield from _source(node, directory, "KL0301", "file")
                yield from _target(node, "target")
                mode = node.get("permissions")
                if mode is not None and permissions(mode) is None:
                    message = f"`{mode}` is not an octal mode"
                    yield fault(node, "permissions", "KL0305", message, "write it as 0644")
        for node in section.all("archive"):
            yield from _source(node, directory, "KL0302", "archive")
            yield from _target(node, "target_dir")


def _source(node: Node, directory: Path, code: str, what: str) -> Iterator[Diagnostic]:
    name = node.get("name")
    if not name:
        return
    path = directory / name
    if name.startswith("/"):
        message = f"the {what} {name} comes from the build host, not from the description"
        hint = f"put a copy beside the description and write name={Path(name).name!r}"
        yield Diagnostic(node.attribute_span("name"), "warning", code, message, hint)
    elif leads_out(path, directory):
        message = f"the {what} `{name}` is outside of the description's folder"
        hint = "put a copy beside the description; links may not lead out of it either"
        yield fault(node, "name", "KL0306", message, hint)
    elif not exists(path):
        message = f"the {what} `{name}` does not stand beside the description"
        yield fault(node, "name", code, message, f"it would be {path}")


def _target(node: Node, attribute: str) -> Iterator[Diagnostic]:
    value = node.get(attribute)
    if value is not None and ".." in value.split("/"):
        message = f"`{attribute}` must not lead upwards: `{value}`"
        hint = "write the path in the image, from its / on"
        yield fault(node, attribute, "KL0304", message, hint)


def exists(path: Path) -> bool:
    """Whether there is something at `path`; a path the system refuses is nothing."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def leads_out(path: Path, directory: Path) -> bool:
    """Whether `path`, its links followed, is not below `directory`."""
    try:
        return not path.resolve().is_relative_to(directory.resolve())
    except (OSError, RuntimeError, ValueError):
        return False
