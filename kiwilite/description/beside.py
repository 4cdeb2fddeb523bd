"""What stands beside a description: its scripts, and the folders laid over the tree."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.files import leads_out
from kiwilite.description.hooks import HOOKS
from kiwilite.description.model import Span
from kiwilite.description.resolve import SCRIPTS
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean

MOST: Final = 1000
"""So many entries of the description's folder are looked at."""

_ROOT: Final = "root"
_NO_TREES: Final = frozenset(("bootstrap", _ROOT))
_OF_A_TREE: Final = frozenset(("boot", "etc", "home", "opt", "srv", "usr", "var"))
_NAMES_PATHS: Final = frozenset(
    ["archive", "certificate", "file", "include", "keyslot", "signing", "source", "type", "verity"]
)
_PATHS: Final = frozenset(
    ["editbootconfig", "editbootinstall", "from", "key", "luks", "metadata_key", "name", "path"]
)
_LOOKED_AT: Final = 1024 * 1024
"""So many bytes of a script."""

_SHELL: Final = re.compile(rb"#!\s*(/usr)?/bin/(env\s+)?(ba|da)?sh\b")


def check_scripts(root: Node) -> Iterator[Diagnostic]:
    """Scripts that cannot be read or run, and names that look like a script's."""
    directory = root.file.parent
    for name in SCRIPTS:
        script = directory / f"{name}.sh"
        if not os.path.lexists(script):
            continue
        if not script.is_file() or not os.access(script, os.R_OK):
            message = f"the script {script.name} exists, but cannot be read as a file"
            yield Diagnostic(root.span, "error", "KL0303", message, "check its type and mode")
        elif leads_out(script, directory):
            message = f"the script {script.name} is a link that leads out of the folder"
            yield Diagnostic(root.span, "warning", "KL0306", message, "put a copy in its place")
        else:
            yield from _script(script)
    yield from _misspelt_scripts(directory, _referenced(root))


def _script(script: Path) -> Iterator[Diagnostic]:
    """What keeps a script from running as it is meant to, at its line."""
    with script.open("rb") as stream:
        text = stream.read(_LOOKED_AT)
    start = Span(script, 1, 1)
    if (at := text.find(b"\r\n")) >= 0:
        place = Span(script, text.count(b"\n", 0, at) + 1, at - text.rfind(b"\n", 0, at))
        message = f"{script.name} has the line ends of Windows, which are part of the commands"
        yield Diagnostic(place, "warning", "KL0308", message, "run `dos2unix` on it")
    executable = bool(script.stat().st_mode & 0o111)
    interpreter = text.startswith(b"#!")
    if executable and not interpreter:
        message = f"{script.name} does not say what runs it"
        hint = "begin it with the line #!/bin/bash"
        yield Diagnostic(start, "warning", "KL0308", message, hint)
    elif not executable and interpreter and not _SHELL.match(text):
        message = f"{script.name} is not executable, so a shell runs it in spite of its first line"
        yield Diagnostic(start, "warning", "KL0308", message, f"run `chmod +x {script.name}`")
    elif not executable:
        message = f"{script.name} is not executable; a shell runs it"
        yield Diagnostic(start, "note", "KL0308", message, f"run `chmod +x {script.name}`")


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    """What stands in the folder, but for hidden files."""
    try:
        with os.scandir(directory) as found:
            entries = list(islice((e for e in found if not e.name.startswith(".")), MOST))
    except OSError:
        return []
    return sorted(entries, key=lambda entry: entry.name)


def _referenced(root: Node) -> set[str]:
    """First parts of the paths that the description names."""
    return {
        (value.partition("://")[2] or value.removeprefix("dir:")).lstrip("/").partition("/")[0]
        for node in root.walk()
        if node.name in _NAMES_PATHS
        for name, value in node.attributes.items()
        if name in _PATHS
    }


def _misspelt_scripts(directory: Path, referenced: set[str]) -> Iterator[Diagnostic]:
    known = [f"{name}.sh" for name in SCRIPTS]
    known += [hook.pattern for hook in HOOKS if hook.pattern.endswith(".sh")]
    for entry in _entries(directory):
        if not entry.name.endswith(".sh") or entry.name in {*known, *referenced}:
            continue
        meant = min(known, key=lambda name: suggest.distance(entry.name, name))
        if suggest.distance(entry.name, meant) <= 2:
            message = f"{entry.name} is not the name of a script that is run"
            place = Span(directory / entry.name, 1, 1)
            yield Diagnostic(place, "warning", "KL0309", message, f"did you mean `{meant}`?")


def check_folders(root: Node) -> Iterator[Diagnostic]:
    """Overlay trees that lead out of the folder, or that no profile brings into the image."""
    directory = root.file.parent
    profiles = {
        node.get("name") or "": node
        for section in root.all("profiles")
        for node in section.all("profile")
    }
    referenced = _referenced(root)
    for entry in _entries(directory):
        if not _is_folder(entry):
            continue
        if entry.name == _ROOT or entry.name in profiles:
            if leads_out(directory / entry.name, directory):
                message = f"the folder {entry.name}/ is a link that leads out of the description"
                hint = "put a copy in its place"
                yield Diagnostic(root.span, "error", "KL0306", message, hint)
        elif entry.name not in referenced | _NO_TREES:
            yield from _stray(directory / entry.name, root, profiles)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _stray(folder: Path, root: Node, profiles: dict[str, Node]) -> Iterator[Diagnostic]:
    """A folder whose name is almost a profile's, or which looks like a tree of files."""
    meant = suggest.nearest(folder.name, [*profiles, _ROOT])
    if meant is not None:
        place = profiles[meant].attribute_span("name") if meant in profiles else root.span
        message = f"the folder {folder.name}/ has almost the name `{meant}`, and is not used"
        yield Diagnostic(place, "warning", "KL0307", message, f"rename it to {meant}/")
    elif any((folder / name).is_dir() for name in _OF_A_TREE):
        message = f"the folder {folder.name}/ looks like an overlay tree, but is no profile's"
        hint = f'declare it: `<profile name="{folder.name}" …/>`, or move its content to root/'
        yield Diagnostic(root.span, "warning", "KL0307", message, hint)


def check_unused(root: Node, directory: Path) -> Iterator[Diagnostic]:
    """Profiles by which nothing changes: no section, folder, other profile or script has them.

    One that is imported may stand for "none of the others".
    """
    texts = list(_script_texts(directory))
    for section in root.all("profiles"):
        for profile in section.all("profile"):
            name = profile.get("name") or ""
            if not _used(name, profile, root) and not any(name in t for t in texts):
                message = f"nothing in the description depends on the profile `{name}`"
                hint = f'write profiles="{name}" at a section, or make a folder {name}/'
                place = profile.attribute_span("name")
                yield Diagnostic(place, "note", "KL0310", message, hint)


def _script_texts(directory: Path) -> Iterator[str]:
    for name in SCRIPTS:
        script = directory / f"{name}.sh"
        if script.is_file() and os.access(script, os.R_OK):
            with script.open(errors="replace") as stream:
                yield stream.read(_LOOKED_AT)


def _used(name: str, profile: Node, root: Node) -> bool:
    if boolean(profile, "import") or profile.first("requires") is not None:
        return True
    if _has_folder(root.file.parent, name):
        return True
    sections = (
        part.strip()
        for node in root.children
        for part in (node.attributes.get("profiles") or "").split(",")
    )
    required = (
        requires.get("profile")
        for section in root.all("profiles")
        for other in section.all("profile")
        for requires in other.all("requires")
    )
    return name in sections or name in required


def _has_folder(directory: Path, name: str) -> bool:
    try:
        return bool(name) and (directory / name).is_dir()
    except (OSError, ValueError):
        return False
