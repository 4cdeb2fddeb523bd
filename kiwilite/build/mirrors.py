"""Which mirror this host uses for a distribution: `distro:debian` and what it stands for.

In this order: `mirrors:` of the runtime configuration, what the host's own apt is set
up with, and the mirror that mmdebstrap takes when nobody names one. For a snapshot it is
`snapshots:` of the runtime configuration, and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from kiwilite.description.snapshot import PLACE, at_time
from kiwilite.errors import KiwiliteError

DISTRO = "distro:"


def resolve(uri: str, mirrors: Mapping[str, str]) -> str:
    """The URI apt gets for a source as written. KiwiliteError for an unknown distribution."""
    if not uri.startswith(DISTRO):
        return uri
    name = uri.removeprefix(DISTRO)
    if name not in mirrors:
        raise KiwiliteError(
            f"this host has no mirror for {uri}",
            hint=f"name one in kiwilite.yml:\n    mirrors:\n      {name}: URL",
        )
    return mirrors[name]


def address_of(
    uri: str, snapshot: str | None, mirrors: Mapping[str, str], snapshots: Mapping[str, str]
) -> str:
    """Where this host gets `uri`, as it was at the time `snapshot` if there is one.

    `snapshots` has addresses with `{snapshot}` by distribution. Raises KiwiliteError for a
    distribution that this host has no mirror, or no snapshot mirror, for.
    """
    if snapshot is None or not uri.startswith(DISTRO):
        return resolve(uri, mirrors)
    name = uri.removeprefix(DISTRO)
    if name not in snapshots:
        raise KiwiliteError(
            f"this host has no snapshot mirror for {uri}",
            hint=f"name one in kiwilite.yml:\n    snapshots:\n      {name}: "
            f"URL with {PLACE} where the time stands",
        )
    return at_time(snapshots[name], snapshot)


def is_local(uri: str) -> Path | None:
    """The folder of a `file:` or `dir:` source."""
    for scheme in ("dir:", "file:"):
        if uri.startswith(scheme):
            return Path("/" + uri.removeprefix(scheme).lstrip("/"))
    return None


def host_mirrors(
    configured: Mapping[str, str],
    apt: Path = Path("/etc/apt"),
    tool: Path = Path("/usr/bin/mmdebstrap"),
) -> dict[str, str]:
    """Distribution name to URL; `configured` wins over what apt has, and that over `tool`'s own.

    A name is the last part of the URL's path, as distributions lay their mirrors out:
    debian, debian-security, ubuntu.
    """
    found: dict[str, str] = {}
    for uri in (*_apt_uris(apt), *_tool_uris(tool)):
        name = uri.rstrip("/").rsplit("/", 1)[-1]
        if re.fullmatch(r"[a-z][a-z-]*", name):
            found.setdefault(name, uri)
    return {**found, **configured}


def _apt_uris(apt: Path) -> Iterator[str]:
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file() or not os.access(file, os.R_OK):
            continue
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            yield from _deb822_uris(text)
        elif file.suffix == ".list":
            for line in text.splitlines():
                match = re.match(r"deb\s+(?:\[[^]]*\]\s+)?(https?://\S+)", line.strip())
                if match:
                    yield match[1]


def _tool_uris(tool: Path) -> list[str]:
    """The mirrors mmdebstrap falls back to; it is a script and has no other way to tell them."""
    if not tool.is_file():
        return []
    return re.findall(r"[\"'](https?://[a-z0-9.]+/[a-z-]+)[\"' ]", tool.read_text(errors="replace"))


def _deb822_uris(text: str) -> Iterator[str]:
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            m[1].lower(): m[2].strip()
            for m in re.finditer(r"^([A-Za-z-]+):(.*(?:\n[ \t]+.*)*)", stanza, re.MULTILINE)
        }
        if (
            fields.get("enabled", "yes").lower() in ("no", "false")
            or "deb" not in fields.get("types", "").split()
        ):
            continue
        yield from (
            u for u in fields.get("uris", "").split() if u.startswith(("http://", "https://"))
        )
