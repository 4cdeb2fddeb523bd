"""The committed schema: where it is, and libxml2's fast verdict on a tree."""

from __future__ import annotations

import site
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

from lxml import etree

import kiwilite
from kiwilite.description.reader import XML_SPACE
from kiwilite.description.tree import Node
from kiwilite.errors import HostError


def data_directories(name: str) -> tuple[Path, ...]:
    """Where kiwilite's data folder `name` may be: the checkout, then what was installed."""
    checkout = Path(kiwilite.__file__).resolve().parent.parent / name
    prefixes = [sys.prefix, sys.base_prefix, site.getuserbase()]
    shared = [Path(prefix) / "share" / "kiwilite" / name for prefix in dict.fromkeys(prefixes)]
    return (checkout, *shared)


def schema_file(name: str) -> Path:
    """Path of `name` (kiwilite.rng, .rnc or .xsd); HostError if kiwilite came without it."""
    candidates = [directory / name for directory in data_directories("schema")]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise HostError(
        f"kiwilite's schema {name} is not installed",
        where=str(candidates[0]),
        hint="install kiwilite again, or run it from its checkout",
    )


@lru_cache(maxsize=1)
def grammar() -> etree._ElementTree:
    """The RELAX NG grammar as XML."""
    return etree.parse(str(schema_file("kiwilite.rng")), _hardened())


@lru_cache(maxsize=1)
def _relax_ng() -> etree.RelaxNG:
    return etree.RelaxNG(grammar())


def _hardened() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


_NO_LINE = 65535

Twins = dict[etree._Element, Node]
"""Each element of a libxml2 tree, and the node it was made from."""


def to_lxml(root: Node) -> Twins:
    """A libxml2 tree of `root`, which is the first key; ValueError for names it refuses.

    White space between elements is left out, text beside elements moves before them:
    neither makes a difference to a grammar.
    """
    twins: Twins = {}

    def copy(node: Node, parent: etree._Element | None) -> None:
        attributes = dict(node.attributes)
        if parent is None:
            twin = etree.Element(node.name, attributes)
        else:
            twin = etree.SubElement(parent, node.name, attributes)
        twins[twin] = node
        if not node.children or node.text.strip(XML_SPACE):
            twin.text = node.text
        for child in node.children:
            copy(child, twin)

    copy(root, None)
    return twins


def is_valid(root: Node) -> bool:
    """Whether `root` fits the RELAX NG grammar."""
    try:
        twins = to_lxml(root)
    except ValueError:
        return False
    return bool(_relax_ng().validate(next(iter(twins))))


def relax_ng_complaints(twins: Twins) -> list[tuple[Node | None, str]]:
    """libxml2's own words on an invalid tree, with the node where it can be told."""
    root = next(iter(twins))
    for number, twin in enumerate(twins):
        # libxml2 counts lines in 16 bits; a number past them stands for no node
        twin.sourceline = min(number + 1, _NO_LINE)  # type: ignore[assignment]
    nodes = list(twins.values())[: _NO_LINE - 1]
    schema = _relax_ng()
    schema.validate(root)
    return [
        (nodes[entry.line - 1] if 0 < entry.line <= len(nodes) else None, entry.message)
        for entry in schema.error_log
    ]


def xsd_complaints(twins: Twins) -> list[tuple[Node | None, str]]:
    """What the XML Schema says, in the words of the xmlschema library (slow to import)."""
    import xmlschema

    schema = xmlschema.XMLSchema10(str(schema_file("kiwilite.xsd")))
    complaints: list[tuple[Node | None, str]] = []
    for error in schema.iter_errors(next(iter(twins))):
        element: Any = error.elem
        complaints.append((twins.get(element), error.reason or error.message))
    return complaints
