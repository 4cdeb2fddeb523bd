"""Which packages an image gets: apt's own answer, without installing one.

The two selections of a build: mmdebstrap's (what is essential, and the bootstrap packages), and
on top of it the image's packages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kiwilite.build.apt_outside import Outside, outside
from kiwilite.build.control import field, stanzas
from kiwilite.build.initrd_package import INITRD_CONTROL, INITRD_PACKAGE
from kiwilite.build.job import Job
from kiwilite.build.large_packages import large
from kiwilite.build.package_lists import states
from kiwilite.build.sources import apt_uri
from kiwilite.errors import StageFailed
from kiwilite.plan.selection import PackageFile, Place, package_data
from kiwilite.plan.tree_steps import AptSource, ResolvePackages

STATUS = "./var/lib/dpkg/status"

_INSTALL = re.compile(r"^'\S+' ([^\s_]+)_([^\s_]+)_[^\s_]+\.deb \d+ ", re.MULTILINE)
_REMOVE = re.compile(r"^The following packages will be REMOVED:\n((?:  .*\n)+)", re.MULTILINE)
_ORIGIN = re.compile(r"\s+-?\d+ (?P<uri>\S+:/\S*) (?P<suite>\S+) (?:\S+ )?Packages$")
_VERSION = re.compile(r" (?:\*\*\*|   ) (\S+)(?: -?\d+)?$")


@dataclass(frozen=True, slots=True)
class Origin:
    """A list of packages as `apt-cache policy` names it."""

    uri: str
    suite: str
    """`trixie/main`, or `./` of a flat repository."""


def run(step: ResolvePackages, job: Job) -> None:
    """Write `packages.json`: packages by the step that installs them, and the repositories.

    What a prebuilt archive brings stands in `archived`, with names and versions only. Raises
    what `outside` does.
    """
    with outside(job, step.sources, step.architecture, step.pin) as apt:
        (job.out / "packages.json").write_text(json.dumps(_answer(step, job, apt), indent=1))


def _answer(step: ResolvePackages, job: Job, apt: Outside) -> dict[str, Any]:
    used = [s for s in step.sources if not s.image_only]
    if step.archive is None:
        # Where nothing is installed, an upgrade is what is essential.
        first = _select(apt, {}, "dist-upgrade", *step.bootstrap)
    else:
        first = _of_archive(job, job.source(step.archive))
    before = {**first, INITRD_PACKAGE: _initrd()}
    apt.pin(step.sources)
    wanted = "--install-recommends" if step.recommends else "--no-install-recommends"
    after = _select(apt, before, "install", wanted, *step.packages)
    new = {name: stanza for name, stanza in after.items() if before.get(name) != stanza}
    return {
        "archived": [_known(name, s) for name, s in sorted(first.items()) if step.archive],
        "bootstrap": [] if step.archive else package_files(apt, step.sources, first),
        "image": package_files(apt, step.sources, new),
        "large": large(step.packages, new),
        "repositories": [asdict(state) for state in states(job, apt.lists, used)],
    }


def _known(name: str, stanza: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": field(stanza, "Version"),
        "architecture": field(stanza, "Architecture"),
        "installed_bytes": int(field(stanza, "Installed-Size") or 0) * 1024,
    }


def package_files(
    apt: Outside, sources: Sequence[AptSource], chosen: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Each package as data of a `PackageFile`."""
    if not chosen:
        return []
    origins = parse_policy(apt.run("apt-cache", "policy", *sorted(chosen)))
    used = {apt_uri(apt.job, s).rstrip("/"): s for s in sources if not s.image_only}
    rows = []
    for name, stanza in sorted(chosen.items()):
        about = _known(name, stanza)
        origin = origins[name, about["version"]]
        source = used[origin.uri.rstrip("/")]
        sha256 = field(stanza, "SHA256")
        if not sha256:
            raise StageFailed(
                f"{source.uri} has no SHA-256 of the package {name}",
                hint="packages are known by it: have the repository's index made anew",
            )
        package = PackageFile(
            **about,
            size=int(field(stanza, "Size")),
            sha256=sha256,
            where=Place(source.uri, origin.suite, source.snapshot, field(stanza, "Filename")),
        )
        rows.append(package_data(package))
    return rows


def _select(apt: Outside, installed: dict[str, str], *command: str) -> dict[str, str]:
    """Stanzas by name after apt-get has done `command` where `installed` is there."""
    status = [_as_installed(stanza) for stanza in installed.values()]
    apt.status.write_text("".join(f"{stanza}\n\n" for stanza in status))
    # A simulation would take three times as long.
    said = apt.run("apt-get", "--print-uris", "--yes", "--no-auto-remove", *command)
    chosen = [f"{name}={unquote(version)}" for name, version in _INSTALL.findall(said)]
    after = dict(installed)
    for name in " ".join(_REMOVE.findall(said)).split():
        after.pop(name.rstrip("*"), None)
    shown = apt.run("apt-cache", "show", "--no-all-versions", *chosen) if chosen else ""
    return {**after, **stanzas(shown)}


def _of_archive(job: Job, archive: Path) -> dict[str, str]:
    text = job.run(["tar", "--extract", "--to-stdout", "--file", archive, STATUS])
    return {n: s for n, s in stanzas(text).items() if field(s, "Status").endswith(" installed")}


def _initrd() -> str:
    return "\n".join(f"{name}: {value}" for name, value in INITRD_CONTROL.items())


def _as_installed(stanza: str) -> str:
    lines = [line for line in stanza.splitlines() if not line.startswith("Status:")]
    return "\n".join(["Status: install ok installed", *lines])


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
