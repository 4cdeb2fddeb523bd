"""Packages that the sections contradict each other about, and sections that never hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.profiles import matches
from kiwilite.description.tree import Node

_GENERAL: Final = ("bootstrap", "image", "delete", "uninstall")
KIWI_PACKAGES: Final = ("dracut-kiwi-", "kiwi-dracut-")
"""What the packages with KIWI's own dracut modules are called."""

_CONTAINERS: Final = {"systemfiles": ("docker", "oci")}
"""Kinds of sections that belong to other image types than their name says."""


def check_packages(root: Node, sections: Sequence[Node], arch: str) -> Iterator[Diagnostic]:
    """Of `sections`, which hold for `arch`; and those of `root` for no image type it has."""
    installed: dict[str, Node] = {}
    removed: list[tuple[str, Node]] = []
    seen: dict[tuple[str, str], Node] = {}
    for section in sections:
        kind = section.get("type") or ""
        kind = kind if kind in _GENERAL else "image"
        for node in section.all("package"):
            name = node.get("name") or ""
            if not matches(node, arch):
                continue
            first = seen.setdefault((kind, name), node)
            if first is not node:
                yield _again(name, node, first)
            elif kind == "image":
                installed[name] = node
            elif kind != "bootstrap":
                removed.append((kind, node))
            if kind in ("bootstrap", "image") and name.startswith(KIWI_PACKAGES):
                yield _of_kiwi(name, node)
    for kind, node in removed:
        name = node.get("name") or ""
        if name in installed:
            yield _contradiction(name, kind, node, installed[name])
    yield from _never(root)


def _relative(node: Node, seen_from: Node) -> str:
    span = node.span
    return f"line {span.line}" if node.file == seen_from.file else str(span)


def _again(name: str, node: Node, first: Node) -> Diagnostic:
    message = f"the package `{name}` is listed already, at {_relative(first, node)}"
    return Diagnostic(node.attribute_span("name"), "note", "KL0508", message, "once is enough")


def _of_kiwi(name: str, node: Node) -> Diagnostic:
    message = f"the package `{name}` is for KIWI's initrd, and its hook has nothing to do here"
    place = node.attribute_span("name")
    return Diagnostic(place, "warning", "KL0908", message, "leave it out: kiwilite brings its own")


def _contradiction(name: str, kind: str, node: Node, first: Node) -> Diagnostic:
    message = f"the package `{name}` is installed ({_relative(first, node)}), and removed here"
    hint = f'leave one of them out, unless config.sh needs it (type="{kind}" removes it after that)'
    return Diagnostic(node.attribute_span("name"), "warning", "KL0507", message, hint)


def _never(root: Node) -> Iterator[Diagnostic]:
    """Sections for an image type that no `<type>` of the description has."""
    images = {t.get("image") for p in root.all("preferences") for t in p.all("type")}
    for section in root.all("packages"):
        kind = section.get("type") or ""
        if kind in _GENERAL or not images.isdisjoint(_CONTAINERS.get(kind, (kind,))):
            continue
        message = f'no `<type>` has image="{kind}", so this section never holds'
        hint = 'write type="image" if it is for every image'
        yield Diagnostic(section.attribute_span("type"), "note", "KL0509", message, hint)
