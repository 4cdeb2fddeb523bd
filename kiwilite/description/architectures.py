"""Architectures under which something can never hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.tree import Node
from kiwilite.description.values import comma_list

DEBIAN_NAMES: Final = {"amd64": "x86_64", "arm64": "aarch64"}
"""Debian's names, and those of the machine, which `arch` is held against."""

_OF_APT: Final = {machine: debian for debian, machine in DEBIAN_NAMES.items()}
"""The other way round: `architectures` is for apt."""

_ONE: Final = {"i586": "ix86", "i686": "ix86"}


def check_architectures(root: Node) -> Iterator[Diagnostic]:
    """All places where an architecture is named that rules itself out."""
    profiles = _profiles(root)
    for section in root.children:
        for node in section.walk():
            yield from _named_otherwise(node)
        if section.name == "repository":
            yield from _apt(section)
        if section.name in ("profiles", "include"):
            continue
        under = _under(section, profiles)
        if under is not None:
            for node in (section, *section.children):
                yield from _excluded(node, section, under)


def _profiles(root: Node) -> dict[str, list[str]]:
    """Architectures by profile; no entry for a profile that holds for all."""
    found: dict[str, list[str]] = {}
    everywhere = set()
    for section in root.all("profiles"):
        for node in section.all("profile"):
            name, arches = node.get("name") or "", comma_list(node.get("arch"))
            found.setdefault(name, []).extend(arches)
            if not arches:
                everywhere.add(name)
    return {name: arches for name, arches in found.items() if name not in everywhere}


def _under(section: Node, profiles: dict[str, list[str]]) -> set[str] | None:
    """The architectures under which `section` can hold by its profiles; None for all."""
    wanted = comma_list(section.get("profiles"))
    if not wanted or not all(name in profiles for name in wanted):
        return None
    return {_ONE.get(arch, arch) for name in wanted for arch in profiles[name]}


def _excluded(node: Node, section: Node, under: set[str]) -> Iterator[Diagnostic]:
    arches = comma_list(node.get("arch"))
    if arches and under.isdisjoint(_ONE.get(arch, arch) for arch in arches):
        profiles = section.get("profiles")
        message = f"this holds for {', '.join(arches)}, and the profiles `{profiles}` never do"
        hint = f"they hold for {', '.join(sorted(under))}; see arch= of `<profile>`"
        yield Diagnostic(node.attribute_span("arch"), "warning", "KL0506", message, hint)


def _named_otherwise(node: Node) -> Iterator[Diagnostic]:
    """`amd64`, which no machine is called."""
    arches = comma_list(node.get("arch"))
    for arch in arches:
        machine = DEBIAN_NAMES.get(arch)
        if machine is not None and machine not in arches:
            message = f"no machine is called `{arch}`, so this never holds"
            place = node.attribute_span("arch")
            yield Diagnostic(place, "warning", "KL0506", message, f'write arch="{machine}"')


def _apt(repository: Node) -> Iterator[Diagnostic]:
    for arch in comma_list(repository.get("architectures")):
        debian = _OF_APT.get(arch)
        if debian is not None:
            message = f"Debian's repositories have no architecture `{arch}`"
            place = repository.attribute_span("architectures")
            yield Diagnostic(place, "warning", "KL0506", message, f"write `{debian}`")
