"""The tree that is shown: elements and values with where they came from, secrets left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from kiwilite.description import defaults, luks
from kiwilite.description.choose import Chosen
from kiwilite.description.load import Examined
from kiwilite.description.model import Appliance, Span
from kiwilite.description.profiles import Selection, matches
from kiwilite.description.resolve import packages_sections
from kiwilite.description.secret import without_secret
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean, comma_list

Origin = Span | Literal["default", "--profile"]
"""A place in a file, kiwilite's default, or the command line."""

_SEVERAL: Final = ("showlicense",)
"""Preferences that may hold several times; of the others the first holds."""

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"


@dataclass(frozen=True, slots=True)
class Value:
    """What an attribute says; `text` is None for a secret."""

    name: str
    text: str | None
    origin: Origin


@dataclass(frozen=True, slots=True)
class Condition:
    """What lets an element hold: active profiles of its `profiles=`, the architecture in `arch=`.

    Both are empty where it holds always.
    """

    profiles: tuple[str, ...] = ()
    arch: str | None = None


ALWAYS: Final = Condition()


@dataclass(frozen=True, slots=True)
class Element:
    """An element; `text` is None where it has none."""

    name: str
    origin: Origin
    attributes: tuple[Value, ...] = ()
    text: str | None = None
    children: tuple[Element, ...] = ()
    condition: Condition = ALWAYS


@dataclass(frozen=True, slots=True)
class Shown:
    """A description for one request; `schemaversion` is the one that the file has.

    `overlay_trees` and `scripts` are names beside the file.
    """

    file: Path
    schemaversion: str
    arch: str
    type: str
    profiles: tuple[str, ...]
    image: Element
    overlay_trees: tuple[str, ...]
    scripts: tuple[str, ...]


def shown(examined: Examined, appliance: Appliance, requested: Sequence[str]) -> Shown:
    """All that holds in `examined`, whose appliance is `appliance`."""
    document = examined.document
    return Shown(
        file=document.root.file,
        schemaversion=document.version,
        arch=appliance.arch,
        type=appliance.type.image,
        profiles=appliance.profiles,
        image=resolved(document.root, examined.selection, examined.chosen, requested),
        overlay_trees=tuple(path.name for path in appliance.overlay_trees),
        scripts=tuple(path.name for _, path in appliance.scripts),
    )


def whole(node: Node) -> Element:
    """`node` as it stands, whatever holds; without defaults."""
    return Element(
        node.name,
        node.span,
        tuple(_written(node)),
        _text(node),
        tuple(whole(child) for child in node.children),
    )


def resolved(root: Node, selection: Selection, chosen: Chosen, requested: Sequence[str]) -> Element:
    """`root` with what holds for `selection`: one `<preferences>`, one `<type>` in it.

    `<profiles>` has the active profiles in their order, and why each is active.
    """
    assert chosen.type is not None
    used = set(packages_sections(root, selection, chosen.type.get("image") or ""))
    united = {
        "preferences": _preferences(root, selection, chosen),
        "profiles": _profiles(root, selection, requested),
    }
    children: list[Element] = []
    for node in root.children:
        if node.name in ("preferences", "profiles"):
            one = united.pop(node.name, None)
            children += [one] if one and one.children else []
        elif node in used if node.name == "packages" else selection.holds(node):
            children.append(_element(node, selection))
    return Element("image", root.span, tuple(_written(root)), None, tuple(children))


def _element(node: Node, selection: Selection) -> Element:
    children = [_element(c, selection) for c in node.children if matches(c, selection.arch)]
    return Element(
        node.name,
        node.span,
        (*_written(node, without=("profiles", "arch")), *_by_default(node)),
        _text(node),
        (*children, *_children_by_default(node)),
        _condition(node, selection),
    )


def _written(node: Node, without: Sequence[str] = ()) -> Iterator[Value]:
    for name, value in node.attributes.items():
        if name not in without and not name.startswith(_XSI):
            text = without_secret(node, name, value)
            yield Value(name, text, node.attribute_span(name))


def _by_default(node: Node) -> Iterator[Value]:
    return (Value(name, text, "default") for name, text in defaults.missing(node))


def _text(node: Node) -> str | None:
    """Text with its white space collapsed; that of other namespaces is data, and kept."""
    text = node.text if node.name.startswith("{") else " ".join(node.text.split())
    return text if text.strip() else None


def _condition(node: Node, selection: Selection) -> Condition:
    named = comma_list(node.attributes.get("profiles"))
    active = tuple(name for name in named if name in selection.profiles)
    return Condition(active, selection.arch if node.get("arch") else None)


def _preferences(root: Node, selection: Selection, chosen: Chosen) -> Element:
    """All sections that hold as one; each child keeps what lets its section hold."""
    sections = list(selection.sections(root, "preferences"))
    children: dict[object, Element] = {}
    attributes: dict[str, Value] = {}
    for section in sections:
        for value in _written(section, without=("profiles", "arch")):
            attributes.setdefault(value.name, value)
        condition = _condition(section, selection)
        for node in section.children:
            if node.name != "type" or node is chosen.type:
                key = node if node.name in _SEVERAL else node.name
                found = replace(_element(node, selection), condition=condition)
                children.setdefault(key, found)
    if "packagemanager" not in children:
        manager = defaults.PACKAGE_MANAGER
        children["packagemanager"] = Element("packagemanager", "default", text=manager)
    for name, default in defaults.DEFAULTS["preferences"].items():
        attributes.setdefault(name, Value(name, default.value, "default"))
    first = sections[0] if sections else root
    return Element(
        "preferences", first.span, tuple(attributes.values()), None, tuple(children.values())
    )


def _profiles(root: Node, selection: Selection, requested: Sequence[str]) -> Element:
    """The active ones, in their order; the origin of `import` is what makes each active."""
    section = root.first("profiles") or root
    nodes = [node for s in root.all("profiles") for node in s.all("profile")]
    here = {n.get("name") or "": n for n in nodes if matches(n, selection.arch)}
    why: dict[str, Origin] = {}
    for name in selection.profiles:
        for requires in here[name].all("requires"):
            if matches(requires, selection.arch):
                span = requires.attribute_span("profile")
                why.setdefault(requires.get("profile") or "", span)
        if name in requested:
            why[name] = "--profile"
        elif not requested and boolean(here[name], "import"):
            why[name] = here[name].attribute_span("import")
    return Element(
        "profiles",
        section.span,
        children=tuple(_profile(here[n], why, selection) for n in selection.profiles),
    )


def _profile(node: Node, why: Mapping[str, Origin], selection: Selection) -> Element:
    name = node.get("name") or ""
    values = (
        *_written(node, without=("arch", "import")),
        Value("import", "true", why.get(name, node.span)),
    )
    condition = Condition(arch=selection.arch if node.get("arch") else None)
    return Element(node.name, node.span, values, condition=condition)


def _children_by_default(node: Node) -> Iterator[Element]:
    """Elements that a `<type>` has although nobody wrote them."""
    overlay = node.name == "type" and boolean(node, "overlayroot")
    if overlay and node.get("verity_blocks") and node.first("verity") is None:
        rows = defaults.DEFAULTS["verity"].items()
        values = tuple(Value(name, default.value, "default") for name, default in rows)
        yield Element("verity", "default", values)
    if overlay and "luks" in node.attributes and node.first("luksformat") is None:
        yield Element("luksformat", "default", children=tuple(_cipher(node)))


def _cipher(image_type: Node) -> Iterator[Element]:
    name = luks.DEFAULT_CIPHERS[defaults.value_of(image_type, "provisioning")]
    options = {"--cipher": name, "--integrity": luks.CIPHERS[name].integrity}
    for option, value in options.items():
        pair = (Value("name", option, "default"), Value("value", value, "default"))
        yield Element("option", "default", pair)
