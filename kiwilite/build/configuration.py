"""The runtime configuration, `kiwilite.yml`: what belongs to a host and not to a description.

store: /srv/kiwilite
mirrors:
  debian: http://…
  debian-security: http://…
snapshots:
  debian: http://…/{snapshot}/
tools: tree
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from kiwilite.build.kinds import ToolsFrom
from kiwilite.description.snapshot import PLACE
from kiwilite.errors import KiwiliteError

KEYS = ("store", "mirrors", "snapshots", "tools")


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the configuration file says; empty where there is none."""

    store: Path | None = None
    mirrors: Mapping[str, str] = field(default_factory=dict)
    snapshots: Mapping[str, str] = field(default_factory=dict)
    tools: ToolsFrom = "host"


def search_path() -> tuple[Path, ...]:
    """Where the file is looked for; the first one found counts."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return (Path("kiwilite.yml"), Path(home) / "kiwilite.yml", Path("/etc/kiwilite.yml"))


def load(path: Path | None) -> Configuration:
    """Read `path`, or the first file of the search path. KiwiliteError says what is wrong in it."""
    if path is not None and not path.is_file():
        raise KiwiliteError("there is no such configuration file", where=str(path))
    found = path or next((p for p in search_path() if p.is_file()), None)
    if found is None:
        return Configuration()
    import yaml

    try:
        data = yaml.safe_load(found.read_text()) or {}
    except yaml.YAMLError as error:
        raise KiwiliteError(f"this is not YAML: {error}", where=str(found)) from error
    return _checked(data, found)


def _checked(data: Any, path: Path) -> Configuration:
    if not isinstance(data, dict):
        raise KiwiliteError("names and values are expected", where=str(path))
    for key in data:
        if key not in KEYS:
            close = difflib.get_close_matches(str(key), KEYS, 1)
            hint = f"did you mean {close[0]}?" if close else f"known are: {', '.join(KEYS)}"
            raise KiwiliteError(f"unknown setting {key}", where=str(path), hint=hint)
    mirrors, snapshots = (_addresses(data, key, path) for key in ("mirrors", "snapshots"))
    for name, address in snapshots.items():
        if PLACE not in address:
            raise KiwiliteError(
                f"snapshots: {name}: the address has no {PLACE}, where the time stands",
                where=str(path),
            )
    store = data.get("store")
    if store is not None and not isinstance(store, str):
        raise KiwiliteError("store: is a folder's path", where=str(path))
    folder = Path(store).expanduser() if store else None
    return Configuration(folder, mirrors, snapshots, _tools(data, path))


def _tools(data: dict[Any, Any], path: Path) -> ToolsFrom:
    match data.get("tools", "host"):
        case "host" | "tree" as found:
            return cast(ToolsFrom, found)
        case other:
            raise KiwiliteError(f"tools: {other!r} is neither host nor tree", where=str(path))


def _addresses(data: dict[Any, Any], key: str, path: Path) -> dict[str, str]:
    found = data.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(u, str) for u in found.values()):
        raise KiwiliteError(f"{key}: maps distribution names to URLs", where=str(path))
    return found
