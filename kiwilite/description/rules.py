"""What holds for the whole file beyond its grammar, whatever profiles are chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.fault import fault
from kiwilite.description.given import lacks_attribute, lacks_child, value
from kiwilite.description.model import Span
from kiwilite.description.rules_needs import check_needs
from kiwilite.description.rules_type import TYPE_RULES, Rule
from kiwilite.description.tree import Node
from kiwilite.description.values import MAX_DIGITS, boolean
from kiwilite.description.vocabulary import ValueType, vocabulary

_XSI: Final = "{http://www.w3.org/2001/XMLSchema-instance}"
_LOCATIONS: Final = ("noNamespaceSchemaLocation", "schemaLocation")
_NUMBER: Final = re.compile(rf"\s*[+-]?[0-9]{{{MAX_DIGITS},}}[MG]?\s*")


def check_rules(root: Node) -> Iterator[Diagnostic]:
    """All violations at and below `root`, which need not be valid."""
    yield from _element(root, ())


def _element(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    if node.name.startswith("{"):
        return
    at_attributes: set[Span] = set()
    for problem in _of_one(node, around):
        if problem.span not in at_attributes:
            yield problem
        if problem.span != node.span:
            at_attributes.add(problem.span)  # the first thing wrong with an attribute is enough
    inner = (*around, node)
    for child in node.children:
        yield from _element(child, inner)


def _of_one(node: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    yield from _too_long_numbers(node)
    for rule in _RULES.get(node.name, ()):
        yield from rule(node, around)
    yield from check_needs(node)


def _too_long_numbers(node: Node) -> Iterator[Diagnostic]:
    """Numbers that only a mistake can have made so long."""
    if not any(map(_NUMBER.fullmatch, (node.text, *node.attributes.values()))):
        return  # to know the grammar's every value takes a while
    form = vocabulary().elements.get(node.name)
    if form is None:
        return
    for name, text in node.attributes.items():
        known = form.attributes.get(name)
        if known and _NUMBER.fullmatch(text) and _is_number(known.value):
            message = f"`{name}` is a number of more than {MAX_DIGITS - 1} digits"
            yield fault(node, name, "KL0106", message)
    if form.text and _NUMBER.fullmatch(node.text) and _is_number(form.text):
        message = f"`<{node.name}>` is a number of more than {MAX_DIGITS - 1} digits"
        yield fault(node, None, "KL0106", message)


@lru_cache(maxsize=256)
def _is_number(legal: ValueType) -> bool:
    """Whether it has digits because it counts something, and not as a name or in hexadecimal."""
    return not legal.allows("ff")


def _schema_location(root: Node, _: tuple[Node, ...]) -> Iterator[Diagnostic]:
    """Of XML Schema's own attributes a description has one that says where the schema is."""
    found = [name for name in root.attributes if name.startswith(_XSI)]
    for name in found:
        local = name.removeprefix(_XSI)
        if local not in _LOCATIONS:
            message = f"`<image>` has no attribute `{local}`"
            hint = suggest.hint(local, _LOCATIONS) or suggest.legal("there are", _LOCATIONS)
            yield fault(root, name, "KL0102", message, hint)
    if len(found) > 1 and all(name.removeprefix(_XSI) in _LOCATIONS for name in found):
        message = f"`{_LOCATIONS[0]}` and `{_LOCATIONS[1]}` exclude each other"
        yield fault(root, found[1], "KL0703", message, f"keep `{_LOCATIONS[0]}`")


def _packages(section: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    if "bootstrap_package" in section.attributes:
        if section.get("type") == "bootstrap" and _without_apt(around[0]):
            message = "`bootstrap_package` needs `<packagemanager>apt</packagemanager>`"
            hint = "no other package manager starts from an archive"
            yield fault(section, "bootstrap_package", "KL0702", message, hint)
    elif "bootstrap_digest" in section.attributes and lacks_attribute(section, "bootstrap_package"):
        message = "`bootstrap_digest` needs the `bootstrap_package` it belongs to"
        yield fault(section, "bootstrap_digest", "KL0504", message)


def _without_apt(root: Node) -> bool:
    preferences = list(root.all("preferences"))
    managers = [manager.text.strip() for p in preferences for manager in p.all("packagemanager")]
    legal = vocabulary().elements["packagemanager"].text
    told = all(legal is not None and legal.allows(name) for name in managers)
    return (
        bool(preferences)
        and told
        and "apt" not in managers
        and (bool(managers) or all(lacks_child(p, "packagemanager") for p in preferences))
    )


def _collection_module(module: Node, around: tuple[Node, ...]) -> Iterator[Diagnostic]:
    section = around[-1]
    if section.name == "packages" and value(section, "type") not in (None, "", "bootstrap"):
        message = '`<collectionModule>` needs `<packages type="bootstrap">`'
        hint = "modules are switched on before the first package is installed"
        yield fault(module, None, "KL0702", message, hint)
    if "stream" not in module.attributes or value(module, "enable") in (None, ""):
        return
    if not boolean(module, "enable"):
        message = '`stream` of `<collectionModule>` needs `enable="true"`'
        yield fault(module, "stream", "KL0702", message, "a module that is off has no stream")


_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "image": (_schema_location,),
    "packages": (_packages,),
    "collectionModule": (_collection_module,),
    **TYPE_RULES,
}
"""The rules by the element they are about."""
