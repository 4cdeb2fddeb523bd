"""What this host has of what a build needs, and the remedy for what it lacks.

Each check gives findings; nothing here changes the host, except that a build's user
namespace is really entered once, because no setting says for sure that it can be.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from kiwilite.build.configuration import Configuration, search_path
from kiwilite.build.findings import Finding, Verdict
from kiwilite.build.job import BASE_ENVIRONMENT
from kiwilite.build.kinds import ToolsFrom
from kiwilite.build.mirrors import host_mirrors
from kiwilite.build.namespace_check import examine_namespaces
from kiwilite.build.store import default_store
from kiwilite.build.tools import DATA_FILES, TOOLS, DataFile, Tool, Use
from kiwilite.build.tools_tree import packages_for

LIBRARIES = {
    "cryptography": "hashes",
    "docopt-ng": "the command line",
    "lxml": "reads and checks descriptions",
    "numpy": "checks volumes with AEGIS",
    "pefile": "reads and writes the unified kernel image",
    "pyparted": "partition geometry",
    "PyYAML": "reads kiwilite.yml",
    "rich": "progress on the terminal",
    "xmlschema": "explains what is wrong in a description",
    "zstandard": "compresses the verified root",
}

GIB = 1 << 30
ROOM_FOR_ONE_IMAGE = 4 * GIB
"""Bytes that the trees, partitions and disks of one image like the reference take, with air."""

VERSION = re.compile(r"\d+\.\d+[\w.+~-]*")


def examine(configuration: Configuration, path: Path | None) -> tuple[Finding, ...]:
    """All findings about builds; `path` is the configuration file, if one was named."""
    return (
        *as_needed(
            configuration.tools,
            [*examine_tools(TOOLS), *(_data_file(item, Path("/")) for item in DATA_FILES)],
        ),
        *examine_libraries(LIBRARIES),
        *examine_namespaces(),
        *examine_places(configuration, path),
        *examine_mirrors(configuration),
    )


def only_in_tree() -> frozenset[str]:
    """Packages that a host needs not have for builds with `--tools tree`."""
    return frozenset(packages_for("tree")) - set(packages_for("host"))


def as_needed(tools_from: ToolsFrom, findings: Iterable[Finding]) -> Iterator[Finding]:
    """What this host's builds take from a tree is a warning, where the host does not have it."""
    for finding in findings:
        spared = tools_from == "tree" and finding.package in only_in_tree()
        if spared and finding.verdict is Verdict.BROKEN:
            finding = replace(finding, verdict=Verdict.LACKING)  # noqa: PLW2901
        yield finding


def examine_tools(tools: Iterable[Tool]) -> tuple[Finding, ...]:
    """A finding for each tool; they are asked for their versions side by side."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(pool.map(_tool, tools))


def _tool(tool: Tool) -> Finding:
    path = shutil.which(tool.name, path=f"{os.environ.get('PATH', '')}:{BASE_ENVIRONMENT['PATH']}")
    purpose = tool.purpose
    if path is None:
        return Finding(
            "tools", tool.name, _weight(tool.use), "not installed", purpose, tool.package
        )
    found = tool_version(path, tool.version) or package_version(tool.package) or "installed"
    return Finding("tools", tool.name, Verdict.FINE, found, purpose, tool.package)


def _weight(use: Use) -> Verdict:
    needed = use is Use.BUILD or (use is Use.USER_BUILD and os.geteuid() != 0)
    return Verdict.BROKEN if needed else Verdict.LACKING


def tool_version(path: str, argument: str | None) -> str | None:
    """The version a program prints when given `argument`, wherever it prints it."""
    if argument is None:
        return None
    said = _said([path, argument])
    match = VERSION.search(said)
    return match[0].rstrip(".,") if match else None


def package_version(package: str) -> str | None:
    """The version of an installed Debian package."""
    if shutil.which("dpkg-query") is None:
        return None
    row = _said(["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", package])
    state, _, version = row.partition(" ")
    return version.strip() if state == "installed" else None


def _said(command: list[str]) -> str:
    """What a command prints on either stream; nothing where it cannot be run or hangs."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace")


def _data_file(item: DataFile, root: Path) -> Finding:
    path = next(root.glob(item.pattern), None)
    if path is None:
        verdict, found = Verdict.BROKEN, "not installed"
    else:
        verdict, found = Verdict.FINE, package_version(item.package) or str(path)
    return Finding("tools", item.name, verdict, found, item.purpose, item.package)


def examine_libraries(libraries: Mapping[str, str]) -> Iterator[Finding]:
    """The Python version, and that of each library."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("Python", "python", Verdict.FINE, version, sys.executable)
    for name, purpose in libraries.items():
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            remedy = f"{sys.executable} -m pip install {name}"
            yield Finding("Python", name, Verdict.BROKEN, "not installed", purpose, remedy=remedy)
        else:
            yield Finding("Python", name, Verdict.FINE, found, purpose)


def examine_places(configuration: Configuration, path: Path | None) -> Iterator[Finding]:
    """Where the configuration and the store are, and the room for the store."""
    found = path or next((p for p in search_path() if p.is_file()), None)
    looked_for = "looked for in " + ", ".join(str(p) for p in search_path())
    place = str(found.absolute()) if found else "none, and none is needed"
    yield Finding("places", "kiwilite.yml", Verdict.FINE, place, "" if found else looked_for)
    store = (configuration.store or default_store()).absolute()
    yield Finding("places", "store", Verdict.FINE, str(store), "finished steps and packages")
    yield examine_room(store)


def examine_room(store: Path) -> Finding:
    """Whether the store can be written, and has room for one more image."""
    base = next(p for p in (store, *store.parents) if p.exists())
    if not os.access(base, os.W_OK):
        remedy = "choose a folder of your own: `store:` in kiwilite.yml, or $KIWILITE_STORE"
        return Finding("places", "room", Verdict.BROKEN, f"{base} cannot be written", remedy=remedy)
    free = shutil.disk_usage(base).free
    text = f"{free / GIB:.1f} GiB free"
    if free >= ROOM_FOR_ONE_IMAGE:
        return Finding("places", "room", Verdict.FINE, text)
    remedy = f"an image needs about {ROOM_FOR_ONE_IMAGE // GIB} GiB: make room, or move the store"
    return Finding("places", "room", Verdict.LACKING, text, remedy=remedy)


def examine_mirrors(
    configuration: Configuration,
    apt: Path = Path("/etc/apt"),
    tool: Path = Path("/usr/bin/mmdebstrap"),
) -> list[Finding]:
    """What each `distro:` name stands for on this host, and who says so."""
    of_apt = host_mirrors({}, apt, Path(os.devnull))
    known = host_mirrors(configuration.mirrors, apt, tool)
    rows = []
    for name, uri in sorted(known.items()):
        source = f"{tool.name}, as nobody else names one"
        if name in configuration.mirrors:
            source = "kiwilite.yml"
        elif name in of_apt:
            source = f"{apt} of this host"
        rows.append(Finding("mirrors", f"distro:{name}", Verdict.FINE, uri, f"from {source}"))
    if not known:
        remedy = "name one in kiwilite.yml:\n    mirrors:\n      debian: URL"
        rows.append(Finding("mirrors", "distro:", Verdict.LACKING, "none known", remedy=remedy))
    return rows
