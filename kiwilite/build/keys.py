"""What a step's result depends on, as one key.

A key is the SHA-256 over the step's own data, the keys of the steps it reads, the content
and modes of the description's files it reads, the code that runs it (the kind's module
and all it imports from this package) with the Python libraries that decide what it gives,
and the tools it calls with the libraries they load. Nothing else can change a result, so
nothing else is in it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kiwilite.build.digest import digest_file
from kiwilite.build.job import BASE_ENVIRONMENT
from kiwilite.build.kinds import KINDS, Kind
from kiwilite.build.modes import meant_mode
from kiwilite.errors import HostError, KiwiliteError
from kiwilite.plan.nodes import Node
from kiwilite.plan.references import Output, Source, outputs_of, plain, sources_of


def digest_source(path: Path) -> str:
    """SHA-256 over a file or a folder: names, kinds, permission bits, contents, link targets."""
    total = hashlib.sha256()
    for entry in [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]:
        status = entry.lstat()
        mode = meant_mode(status.st_mode)
        name = entry.relative_to(path)
        if stat.S_ISLNK(status.st_mode):
            what = f"link {entry.readlink()}"
        elif stat.S_ISDIR(status.st_mode):
            what = "folder"
        elif stat.S_ISREG(status.st_mode):
            what = f"file {digest_file(entry)}"
        else:
            raise KiwiliteError(
                "only files, folders and symbolic links can be part of a description",
                where=str(entry),
            )
        total.update(f"{name}\0{mode:o}\0{what}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


@functools.cache
def imported_modules(module: str) -> frozenset[str]:
    """Names of our modules that `module` imports, itself included, followed to the end."""
    found: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        pending += _direct_imports(name)
    return frozenset(found)


@functools.cache
def _module_path(name: str) -> Path | None:
    package = importlib.util.find_spec("kiwilite")
    assert package is not None and package.submodule_search_locations
    base = Path(package.submodule_search_locations[0])
    inner = base.joinpath(*name.split(".")[1:])
    for candidate in (inner.with_suffix(".py"), inner / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


# Parsing with `ast` takes ten times as long, and this stands in the way of every build.
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ ]+(kiwilite[\w.]*)[ ]+import[ ]+(\([^)]*\)|[^\n]*)"
    rb"|import[ ]+(kiwilite[\w.]*))",
    re.MULTILINE,
)


@functools.cache
def _direct_imports(name: str) -> tuple[str, ...]:
    path = _module_path(name)
    if path is None:
        return ()
    rows: list[str] = []
    for module, names, plain_module in _IMPORT.findall(path.read_bytes()):
        base = (module or plain_module).decode()
        rows += [base, *(f"{base}.{word}" for word in re.findall(r"\w+", names.decode()))]
    return tuple(r for r in rows if r.startswith("kiwilite.") and _module_path(r))


@functools.cache
def code_digest(module: str, data: tuple[str, ...]) -> str:
    """SHA-256 over the source of `module`, all it imports from us, and our data files it uses."""
    total = hashlib.sha256()
    for name in sorted(imported_modules(module)):
        path = _module_path(name)
        assert path is not None
        total.update(f"{name}\0{digest_file(path)}\n".encode())
    package = _module_path("kiwilite")
    assert package is not None
    for folder in data:
        total.update(digest_source(package.parent / folder).encode())
    return total.hexdigest()


@dataclass(slots=True)
class ToolDigests:
    """What identifies each tool: its bytes and those of the libraries it loads.

    Hashing them costs a second or so; the result is kept in `cache` for as long as size,
    time stamps and inode of all files stay the same.
    """

    cache: Path
    _known: dict[str, Any] = field(default_factory=dict)
    _loaded: bool = False

    def digest(self, tool: str) -> str:
        """Identity of `tool`; HostError where it is not installed."""
        path = find_tool(tool)
        if not self._loaded:
            self._loaded = True
            try:
                self._known = json.loads(self.cache.read_text())
            except (OSError, ValueError):
                self._known = {}
        known = self._known.get(tool)
        if known and known["path"] == path and _stamps(known["stamps"]) == known["stamps"]:
            return str(known["digest"])
        files = [path, *_libraries(path)]
        total = hashlib.sha256("".join(digest_file(Path(f)) for f in files).encode()).hexdigest()
        stamps = _stamps(dict.fromkeys(files))
        self._known[tool] = {"path": path, "stamps": stamps, "digest": total}
        scratch = self.cache.with_suffix(f".{os.getpid()}")
        scratch.write_text(json.dumps(self._known, indent=1))
        scratch.rename(self.cache)
        return total


def _stamps(files: Mapping[str, Any]) -> dict[str, list[int]]:
    rows = {}
    for name in files:
        try:
            status = Path(name).stat()
            rows[name] = [status.st_size, status.st_mtime_ns, status.st_ino]
        except OSError:
            rows[name] = []
    return rows


def _libraries(path: str) -> list[str]:
    done = subprocess.run(["ldd", path], capture_output=True, text=True, check=False)
    words = [w for line in done.stdout.splitlines() for w in line.split() if w.startswith("/")]
    return sorted({str(Path(w).resolve()) for w in words})


def find_tool(tool: str) -> str:
    """Absolute path of a tool: in the system's folders, where steps look, whatever PATH says."""
    import shutil

    from kiwilite.build.tools import PACKAGE_OF

    path = shutil.which(tool, path=BASE_ENVIRONMENT["PATH"])
    if path is None:
        package = PACKAGE_OF.get(tool)
        raise HostError(
            f"the tool {tool} is not installed",
            hint=f"apt-get install {package}" if package else "see `kiwilite doctor`",
        )
    return str(Path(path).resolve())


def kind_of(node: Node) -> Kind:
    """How the node's step is carried out."""
    return KINDS[type(node.step)]


def key_of(node: Node, keys: Mapping[str, str], tools: ToolDigests) -> str:
    """The key of `node`, given those of the nodes it reads."""
    kind = kind_of(node)
    names: dict[Any, str] = {Output(n): keys[n] for n in outputs_of(node.step)}
    for source in sources_of(node.step):
        if not source.path.exists():
            raise KiwiliteError("this file is not there", where=str(source.path))
        try:
            names[Source(source.path)] = f"{source.path.name} {digest_source(source.path)}"
        except OSError as error:
            where = str(error.filename or source.path)
            raise KiwiliteError(f"cannot be read: {error.strerror}", where=where) from error
    body = {
        "step": plain(node.step, names),
        "code": code_digest(kind.module, kind.data),
        "tools": {tool: tools.digest(tool) for tool in kind.tools},
        "libraries": {name: importlib.metadata.version(name) for name in kind.libraries},
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
