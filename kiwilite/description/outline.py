"""What a description is made of: profiles, sections and folders, those not selected too.

`load` gives what holds for a selection; this is the whole of it, for looking at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiwilite.description.choose import choose
from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import Document, host_arch, load, read
from kiwilite.description.model import Appliance, Span
from kiwilite.description.profiles import Profile, Selection, declared, matches, select
from kiwilite.description.resolve import overlay_trees, packages_sections
from kiwilite.description.tree import Node
from kiwilite.description.validity import as_to_validity
from kiwilite.description.values import boolean, comma_list

_WITHOUT_PROFILES: Final = ("description", "profiles", "include", "extension")


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the file; `holds` says whether it does for the selection."""

    element: str
    title: str
    """Of packages their `type=`, of a repository its alias or address; else empty."""
    profiles: tuple[str, ...]
    """It holds with any of these; empty: with every selection."""
    arch: tuple[str, ...]
    holds: bool
    packages: tuple[str, ...]
    """Those for the selected architecture, each once."""
    others: tuple[str, ...]
    """What else stands in it, in words such as `archive site.tar.gz`."""
    span: Span


@dataclass(frozen=True, slots=True)
class Outline:
    """A description, and what is selected in it."""

    name: str
    displayname: str | None
    version: str | None
    image: str | None
    """The image type that holds."""
    selection: Selection
    profiles: tuple[Profile, ...]
    """Each name once: the declaration for the selected architecture where there are several."""
    sections: tuple[Section, ...]
    folders: tuple[str, ...]
    """The overlay trees beside the description: `root`, and those of declared profiles."""


@dataclass(frozen=True, slots=True)
class Outlined:
    """An outline and the appliance; instead of one that is not built, the reasons."""

    outline: Outline
    appliance: Appliance | None
    not_built: tuple[Diagnostic, ...]


def outline(
    path: Path,
    profiles: Sequence[str] = (),
    *,
    arch: str | None = None,
    type_name: str | None = None,
) -> Outlined:
    """The outline of the description at `path`; arguments as of `load`.

    Raises as `load` does, but not for what is valid and not built by kiwilite.
    """
    appliance: Appliance | None = None
    reasons: tuple[Diagnostic, ...] = ()
    try:
        appliance, _ = load(path, profiles, arch=arch, type_name=type_name)
    except DescriptionInvalid as error:
        if any(d.severity == "error" for d in as_to_validity(error.diagnostics)):
            raise
        reasons = tuple(d for d in error.diagnostics if d.severity == "error")
    found = outline_of(read(path), profiles, arch or host_arch(), type_name)
    return Outlined(found, appliance, reasons)


def outline_of(
    document: Document, profiles: Sequence[str], arch: str, type_name: str | None
) -> Outline:
    """The outline of a valid `document` for a valid selection."""
    root = document.root
    selection, _ = select(root, profiles, arch)
    chosen, _ = choose(root, selection, type_name)
    image = None if chosen.type is None else chosen.type.get("image")
    used = set(packages_sections(root, selection, image or ""))
    names = dict.fromkeys(p.name for p in declared(root))
    return Outline(
        name=root.get("name") or "",
        displayname=root.get("displayname"),
        version=chosen.values.get("version"),
        image=image,
        selection=selection,
        profiles=tuple(_once(declared(root), arch)),
        sections=tuple(
            _section(node, selection, node in used)
            for node in root.children
            if node.name not in _WITHOUT_PROFILES
        ),
        folders=tuple(tree.name for tree in overlay_trees(root.file.parent, tuple(names))),
    )


def _once(profiles: Sequence[Profile], arch: str) -> Iterator[Profile]:
    by_name: dict[str, Profile] = {}
    for profile in profiles:
        other = by_name.get(profile.name)
        if other is None or (for_arch(profile, arch) and not for_arch(other, arch)):
            by_name[profile.name] = profile
    return iter(by_name.values())


def for_arch(profile: Profile, arch: str) -> bool:
    """Whether `profile` exists for `arch`."""
    return not profile.architectures or arch in profile.architectures


def _section(node: Node, selection: Selection, used: bool) -> Section:
    here = [child for child in node.children if matches(child, selection.arch)]
    packages = dict.fromkeys(c.get("name") or "" for c in here if c.name == "package")
    title = node.get("type") or "" if node.name == "packages" else ""
    if node.name == "repository":
        title = node.get("alias") or _address(node)
    return Section(
        element=node.name,
        title=title,
        profiles=comma_list(node.get("profiles")),
        arch=comma_list(node.get("arch")),
        holds=used if node.name == "packages" else selection.holds(node),
        packages=tuple(packages),
        others=tuple(dict.fromkeys(_WORDS.get(node.name, _names)(node, here))),
        span=node.span,
    )


_Words = Callable[[Node, Sequence[Node]], Iterator[str]]


def _names(_: Node, children: Sequence[Node]) -> Iterator[str]:
    return (name for child in children if (name := child.get("name")))


def _of_packages(node: Node, children: Sequence[Node]) -> Iterator[str]:
    if archive := node.get("bootstrap_package"):
        yield f"bootstrap archive {archive}"
    for child in children:
        name = child.get("name")
        if child.name == "namedCollection":
            yield f"collection {name}"
        elif child.name != "package" and name:
            yield f"{child.name} {name}"


def _of_preferences(_: Node, children: Sequence[Node]) -> Iterator[str]:
    for child in children:
        said = child.get("image") if child.name == "type" else " ".join(child.text.split())
        yield f"{child.name} {said}" if said else child.name


def _of_a_repository(node: Node, _: Sequence[Node]) -> Iterator[str]:
    parts = (_address(node), node.get("distribution"), node.get("components"))
    yield " ".join(part for part in parts if part)
    if boolean(node, "imageonly"):
        yield "in the image only"
    elif boolean(node, "imageinclude"):
        yield "kept in the image"


_USERINFO = re.compile(r"(?<=//)[^/@]*@")


def _address(node: Node) -> str:
    """Where the repository is; who may read it is left out."""
    source = node.first("source")
    return _USERINFO.sub("", (source.get("path") if source else None) or "")


_WORDS: Final[dict[str, _Words]] = {
    "packages": _of_packages,
    "preferences": _of_preferences,
    "repository": _of_a_repository,
}
