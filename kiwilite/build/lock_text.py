"""The text of `appliance.lock`: JSON, one package a line, everything sorted.

    {
     "version": 1,
     "selections": {
      "kiosk x86_64 oem product": {
       "asked": {…},             what the description asked for
       "repositories": […],      address, suite, Date and digest of the Release file
       "bootstrap_archive": …,   name, digest and packages of a prebuilt one, else null
       "bootstrap": […],         packages of the minimal tree
       "image": […],             packages on top of it
       "large": […],             names of those that go in first, if there are others
       "tools": […],             name, version, digest over program and libraries
      "tools_tree": {…}         with --tools tree: its repositories and packages
      }
     }
    }

A change of one package is a change of one line, and selections do not share any.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from kiwilite.plan.lock import Lock, Locked, LockedArchive, LockedTool, LockedTree, Question
from kiwilite.plan.selection import Archived, RepositoryState, Selection, package_data, package_of

VERSION: Final = 1


class BadLock(ValueError):
    """The text is no lock; `line` counts from 1 where it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


def write(lock: Lock) -> str:
    """The file's text; the same lock is always the same text."""
    rows = {name: _data(locked) for name, locked in sorted(lock.selections.items())}
    return _laid_out({"version": VERSION, "selections": rows}, 0) + "\n"


def read(text: str) -> Lock:
    """The lock in `text`. Raises BadLock."""
    try:
        data = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise BadLock(f"this is not JSON: {error}", line) from error
    except RecursionError as error:
        raise BadLock("this is nested too deep") from error
    if not isinstance(data, dict) or "version" not in data:
        raise BadLock("it does not say of which version it is")
    if data["version"] != VERSION:
        raise BadLock(f"it is of version {data['version']!r}, and this kiwilite knows {VERSION}")
    selections = data.get("selections")
    if not isinstance(selections, dict):
        raise BadLock("selections: names and what is locked for each are expected")
    found = {}
    for name, value in selections.items():
        try:
            found[name] = _locked(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            said = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise BadLock(f"{name}: {said}") from error
    return Lock(found)


def _data(locked: Locked) -> dict[str, Any]:
    archive = locked.archive
    return {
        "asked": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(locked.question).items()
        },
        "repositories": [asdict(state) for state in locked.repositories],
        "bootstrap_archive": archive
        and {
            "name": archive.name,
            "sha256": archive.sha256,
            "package": archive.package and package_data(archive.package),
            "packages": [asdict(p) for p in locked.selection.archived],
        },
        "bootstrap": [package_data(p) for p in locked.selection.bootstrap],
        "image": [package_data(p) for p in locked.selection.image],
        **({"large": list(locked.selection.large)} if locked.selection.large else {}),
        "tools": [asdict(tool) for tool in sorted(locked.tools)],
        **({"tools_tree": _tree_data(locked.tools_tree)} if locked.tools_tree else {}),
    }


def _tree_data(tree: LockedTree) -> dict[str, Any]:
    return {
        "repositories": [asdict(state) for state in tree.repositories],
        "packages": [package_data(p) for p in tree.packages],
    }


def _tree(data: Mapping[str, Any]) -> LockedTree:
    return LockedTree(
        repositories=tuple(RepositoryState(**_texts(row)) for row in data["repositories"]),
        packages=tuple(package_of(row) for row in data["packages"]),
    )


def _locked(data: Mapping[str, Any]) -> Locked:
    asked, archive = data["asked"], data["bootstrap_archive"]
    return Locked(
        question=Question(
            bootstrap=tuple(asked["bootstrap"]),
            image=tuple(asked["image"]),
            recommends=bool(asked["recommends"]),
            bootstrap_package=asked["bootstrap_package"],
            repositories=tuple(asked["repositories"]),
        ),
        repositories=tuple(RepositoryState(**_texts(row)) for row in data["repositories"]),
        archive=archive
        and LockedArchive(
            archive["name"],
            archive["sha256"],
            archive["package"] and package_of(archive["package"]),
        ),
        selection=Selection(
            bootstrap=tuple(package_of(row) for row in data["bootstrap"]),
            image=tuple(package_of(row) for row in data["image"]),
            archived=tuple(Archived(**row) for row in archive["packages"]) if archive else (),
            large=_large(data),
        ),
        tools=tuple(LockedTool(**_texts(row)) for row in data["tools"]),
        tools_tree=_tree(data["tools_tree"]) if "tools_tree" in data else None,
    )


def _large(data: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of those of the image's packages that go in first; a lock may have none."""
    names = tuple(data.get("large", ()))
    unknown = set(names) - {row["name"] for row in data["image"]}
    if unknown:
        raise ValueError(f"large: not among the image's packages: {', '.join(sorted(unknown))}")
    return names


def _texts(row: Mapping[str, Any]) -> dict[str, Any]:
    """`row`; ValueError where a value is neither a text nor null."""
    for name, value in row.items():
        if not isinstance(value, str | None):
            raise ValueError(f"{name} is a text")
    return dict(row)


def _laid_out(value: Any, depth: int) -> str:
    """JSON with what holds no further lists or objects in one line."""
    inner = list(value.values()) if isinstance(value, dict) else value
    flat = not isinstance(value, dict | list) or not any(isinstance(v, dict | list) for v in inner)
    names = isinstance(value, list) and len(value) > 1 and isinstance(value[0], str)
    if (flat and not names) or not value:
        return json.dumps(value, ensure_ascii=False)
    pad = " " * (depth + 1)
    if isinstance(value, dict):
        rows = [f"{pad}{json.dumps(k)}: {_laid_out(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + " " * depth + "}"
    rows = [f"{pad}{_laid_out(v, depth + 1)}" for v in value]
    return "[\n" + ",\n".join(rows) + "\n" + " " * depth + "]"
