"""What of the build host can change a result: tools, their files, the interpreter, libraries."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kiwilite.build.digest import digest_file
from kiwilite.build.job import BASE_ENVIRONMENT
from kiwilite.errors import HostError


@dataclass(frozen=True, slots=True)
class Identity:
    """A tool's path, or the pattern of files; `digest` is over the bytes of all it stands for."""

    path: str
    digest: str


@dataclass(slots=True)
class ToolDigests:
    """What identifies each tool: its bytes and those of the libraries it loads.

    Hashing them costs a second or so; the result is kept in `cache` for as long as size,
    time stamps and inode of all files stay the same. Tools of a tree have one identity
    together, since they load each other's libraries.
    """

    cache: Path
    tree: Identity | None = None
    """The tree that tools come from; its path is what it is called."""
    _known: dict[str, Any] = field(default_factory=dict)
    _loaded: bool = False
    _seen: dict[str, Identity] = field(default_factory=dict)

    def tool(self, name: str) -> Identity:
        """Identity of a tool; HostError where it is not installed."""
        if name not in self._seen:
            path = find_tool(name)
            self._seen[name] = Identity(path, self._digest(name, path, lambda: _loaded_by(path)))
        return self._seen[name]

    def files(self, pattern: str) -> Identity:
        """Identity of all files that fit a glob `pattern` below `/`, which may be none."""
        if pattern not in self._seen:
            found = [str(path) for path in sorted(Path("/").glob(pattern)) if path.is_file()]
            where = f"/{pattern} {' '.join(found)}"
            self._seen[pattern] = Identity(
                f"/{pattern}", self._digest(pattern, where, lambda: found)
            )
        return self._seen[pattern]

    def _digest(self, name: str, path: str, files: Any) -> str:
        if not self._loaded:
            self._loaded = True
            try:
                self._known = json.loads(self.cache.read_text())
            except (OSError, ValueError):
                self._known = {}
        known = self._known.get(name)
        if known and known["path"] == path and _stamps(known["stamps"]) == known["stamps"]:
            return str(known["digest"])
        names: Sequence[str] = files()
        total = hashlib.sha256("".join(digest_file(Path(f)) for f in names).encode()).hexdigest()
        stamps = _stamps(dict.fromkeys(names))
        self._known[name] = {"path": path, "stamps": stamps, "digest": total}
        scratch = self.cache.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(self._known, indent=1))
        scratch.rename(self.cache)
        return total


def _stamps(files: Mapping[str, Any]) -> dict[str, list[int]]:
    rows = {}
    for name in files:
        try:
            status = Path(name).stat()
            # A change of content that puts size and time back still moves the time of change.
            rows[name] = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
        except OSError:
            rows[name] = []
    return rows


def _loaded_by(path: str) -> list[str]:
    return [path, *_libraries(path)]


def _libraries(path: str) -> list[str]:
    done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    words = [w for line in done.stdout.splitlines() for w in line.split() if w.startswith("/")]
    return sorted({str(Path(w).resolve()) for w in words})


def find_tool(tool: str) -> str:
    """Absolute path of a tool: in the system's folders, where steps look, whatever PATH says."""
    from kiwilite.build.tools import PACKAGE_OF

    path = shutil.which(tool, path=BASE_ENVIRONMENT["PATH"])
    if path is None:
        package = PACKAGE_OF.get(tool)
        raise HostError(
            f"the tool {tool} is not installed",
            hint=f"apt-get install {package}" if package else "see `kiwilite doctor`",
        )
    return str(Path(path).resolve())


def interpreter() -> str:
    """Name and version of the Python that steps run with."""
    return f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}"


@functools.cache
def _installed(folder: str) -> Mapping[str, str]:
    """Distribution → version, from the names of the folders that installers leave."""
    if not Path(folder).is_dir():
        return {}
    names = [path.name for path in Path(folder).iterdir()]
    found = (re.fullmatch(r"(.+?)-([^-]+)(?:-py[\d.]+)?\.(?:dist|egg)-info", n) for n in names)
    return {re.sub(r"[-_.]+", "-", m[1]).lower(): m[2] for m in found if m}


def library_version(distribution: str) -> str:
    """Version of an installed Python distribution; "unknown" where none says it has one.

    `importlib.metadata` takes 50 ms for the same answer, and this stands before every build.
    """
    versions = (_installed(folder).get(distribution) for folder in sys.path)
    return next((version for version in versions if version), "unknown")
