"""Which packages an image gets: apt's own answer, without installing one.

The three selections of a build, each on top of what the one before installed: mmdebstrap's
(what is essential), the bootstrap packages, the image's packages.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.apt_outside import Outside, updated
from kiwilite.build.job import Job
from kiwilite.build.sources import apt_uri
from kiwilite.build.stages.packages import INITRD_CONTROL, INITRD_PACKAGE
from kiwilite.plan.tree_steps import ResolvePackages

STATUS = "./var/lib/dpkg/status"

_INSTALL = re.compile(r"^Inst (\S+) (?:\[[^]]*\] )?\((\S+) ", re.MULTILINE)
_REMOVE = re.compile(r"^Remv (\S+)", re.MULTILINE)
_ORIGIN = re.compile(r"\s+-?\d+ (?P<uri>\S+:/\S*) (?P<suite>\S+) (?:\S+ )?Packages$")
_VERSION = re.compile(r" (?:\*\*\*|   ) (\S+)(?: -?\d+)?$")


@dataclass(frozen=True, slots=True)
class Origin:
    """A list of packages as `apt-cache policy` names it."""

    uri: str
    suite: str
    """`trixie/main`, or `./` of a flat repository."""


def run(step: ResolvePackages, job: Job) -> None:
    """Write `packages.json`: a row per package, sorted by name."""
    outside = updated(job, step.sources, step.architecture)
    if step.archive is None:
        installed = _select(outside, {}, "dist-upgrade")
        if step.bootstrap:
            installed = _select(outside, installed, "install", *step.bootstrap)
    else:
        installed = _of_archive(job, job.source(step.archive))
    before = {**installed, INITRD_PACKAGE: _initrd()}
    outside.pin(step.sources)
    wanted = "--install-recommends" if step.recommends else "--no-install-recommends"
    after = _select(outside, before, "install", wanted, *step.packages)
    del after[INITRD_PACKAGE]
    kept = {name for name in installed if step.archive and after.get(name) == installed[name]}
    written = {apt_uri(job, s).rstrip("/"): s.uri for s in step.sources if not s.image_only}
    origins = parse_policy(outside.run("apt-cache", "policy", *sorted(after)))
    rows = []
    for name, stanza in sorted(after.items()):
        version = field(stanza, "Version")
        origin = None if name in kept else origins.get((name, version))
        rows.append(
            {
                "name": name,
                "version": version,
                "architecture": field(stanza, "Architecture"),
                "installed_bytes": int(field(stanza, "Installed-Size") or 0) * 1024,
                "source": origin and written.get(origin.uri.rstrip("/"), origin.uri),
                "list": origin and _list(origin, step.architecture),
            }
        )
    (job.out / "packages.json").write_text(json.dumps(rows, indent=1))


def _list(origin: Origin, architecture: str) -> str:
    """The folder of a package list below its repository's address."""
    flat = "/" not in origin.suite.strip("./")
    return "" if flat else f"dists/{origin.suite}/binary-{architecture}"


def _select(outside: Outside, installed: dict[str, str], *command: str) -> dict[str, str]:
    """Stanzas by name after apt-get has done `command` where `installed` is there."""
    status = [_as_installed(stanza) for stanza in installed.values()]
    outside.status.write_text("".join(f"{stanza}\n\n" for stanza in status))
    said = outside.run("apt-get", "--simulate", "--yes", "--no-auto-remove", *command)
    chosen = [f"{name}={version}" for name, version in _INSTALL.findall(said)]
    after = dict(installed)
    for name in _REMOVE.findall(said):
        after.pop(name, None)
    shown = outside.run("apt-cache", "show", "--no-all-versions", *chosen) if chosen else ""
    return {**after, **stanzas(shown)}


def _of_archive(job: Job, archive: Path) -> dict[str, str]:
    text = job.run(["tar", "--extract", "--to-stdout", "--file", archive, STATUS])
    return {n: s for n, s in stanzas(text).items() if field(s, "Status").endswith(" installed")}


def _initrd() -> str:
    return "\n".join(f"{name}: {value}" for name, value in INITRD_CONTROL.items())


def _as_installed(stanza: str) -> str:
    lines = [line for line in stanza.splitlines() if not line.startswith("Status:")]
    return "\n".join(["Status: install ok installed", *lines])


def stanzas(text: str) -> dict[str, str]:
    """The paragraphs of dpkg's files by package."""
    found = (part.strip() for part in re.split(r"\n\s*\n", text))
    return {name: part for part in found if (name := field(part, "Package"))}


def field(stanza: str, name: str) -> str:
    """A field of one line, empty where there is none."""
    found = re.search(rf"^{name}:[ \t]*(.*)$", stanza, re.MULTILINE)
    return found[1].strip() if found else ""


def parse_policy(text: str) -> dict[tuple[str, str], Origin]:
    """Where `apt-cache policy` has each (name, version) from: the first list of each."""
    found: dict[tuple[str, str], Origin] = {}
    name = version = ""
    for line in text.splitlines():
        if line and not line[0].isspace():
            name, version = line.rstrip(":"), ""
        elif match := _VERSION.match(line):
            version = match[1]
        elif version and (origin := _ORIGIN.match(line)):
            found.setdefault((name, version), Origin(origin["uri"], origin["suite"]))
    return found
