"""Older descriptions, brought to the current vocabulary in memory; places are kept.

Source of the steps: the differences between KIWI's schema versions 7.4 to 8.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.tree import Node

CURRENT: Final = "8.5"


@dataclass(frozen=True, slots=True)
class Step:
    """One change: `apply` to every `element` of files whose version is below `version`."""

    version: str
    element: str
    apply: Callable[[Node], Node]


def _with(node: Node, attributes: Mapping[str, str], **renamed: str) -> Node:
    return replace(node, attributes=attributes, renamed={**node.renamed, **renamed})


def _without(node: Node, name: str) -> Node:
    return _with(node, {k: v for k, v in node.attributes.items() if k != name})


def _additional_names(node: Node) -> Node:
    tags = node.attributes.get("additionaltags")
    if tags is None:
        return node
    names = ",".join(f":{tag}" for tag in tags.split(","))
    rest = _without(node, "additionaltags").attributes
    return _with(node, {**rest, "additionalnames": names}, additionalnames="additionaltags")


def _dnf4(node: Node) -> Node:
    return replace(node, text="dnf4") if node.text.strip() == "dnf" else node


def _no_rpm_dir(node: Node) -> Node:
    return _without(node, "type") if node.get("type") == "rpm-dir" else node


def _snapper(node: Node) -> Node:
    old, new = "btrfs_root_is_snapshot", "btrfs_root_is_snapper_snapshot"
    if old not in node.attributes:
        return node
    return _with(
        node,
        {new if k == old else k: v for k, v in node.attributes.items()},
        btrfs_root_is_snapper_snapshot=old,
    )


def _consoles(node: Node) -> Node:
    """`console="out in in"` becomes two attributes: the first word, and the others."""
    console = node.attributes.get("console")
    if console is None:
        return node
    output, _, rest_of_it = console.partition(" ")
    rest = dict(_without(node, "console").attributes)
    rest["output_console"] = output
    if rest_of_it:
        rest["input_console"] = rest_of_it
    return _with(node, rest, output_console="console", input_console="console")


def _dropping(name: str) -> Callable[[Node], Node]:
    return lambda node: _without(node, name) if name in node.attributes else node


STEPS: Final = (
    Step("7.5", "containerconfig", _additional_names),
    Step("7.6", "packagemanager", _dnf4),
    Step("8.1", "repository", _no_rpm_dir),
    Step("8.2", "repository", _dropping("use_for_bootstrap")),
    Step("8.3", "type", _snapper),
    Step("8.4", "bootloader", _consoles),
    Step("8.5", "type", _dropping("vga")),
)

VERSIONS: Final = ("7.4", "7.5", "7.6", "8.0", "8.1", "8.2", "8.3", "8.4", "8.5")

_GONE: Final = {
    ("containerconfig", "additionaltags"): ("7.5", "additionalnames"),
    ("repository", "use_for_bootstrap"): ("8.2", None),
    ("type", "btrfs_root_is_snapshot"): ("8.3", "btrfs_root_is_snapper_snapshot"),
    ("bootloader", "console"): ("8.4", "output_console` and `input_console"),
    ("type", "vga"): ("8.5", None),
}


def dropped_since(element: str, attribute: str) -> str | None:
    """A hint for an attribute of older versions, or None if there never was such a one."""
    if (element, attribute) not in _GONE:
        return None
    version, successor = _GONE[element, attribute]
    if successor is None:
        return f"it was dropped with schemaversion {version}"
    return f"with schemaversion {version} it became `{successor}`"


def upgrade(root: Node) -> tuple[Node, list[Diagnostic]]:
    """`root` in the current vocabulary, or as it is with the error that stands against it.

    A missing schemaversion is left to the grammar.
    """
    version = root.get("schemaversion")
    if version is None or version == CURRENT:
        return root, []
    if version not in VERSIONS:
        problem = Diagnostic(
            root.attribute_span("schemaversion"),
            "error",
            "KL0010",
            f"schemaversion `{version}` cannot be read; {VERSIONS[0]} to {CURRENT} can",
            f'a new description has schemaversion="{CURRENT}"',
        )
        return root, [problem]
    done = VERSIONS.index(version)
    steps = [step for step in STEPS if VERSIONS.index(step.version) > done]
    upgraded = _apply(root, steps)
    return _with(upgraded, {**upgraded.attributes, "schemaversion": CURRENT}), []


def _apply(node: Node, steps: list[Step]) -> Node:
    children = tuple(_apply(child, steps) for child in node.children)
    if any(new is not old for new, old in zip(children, node.children, strict=True)):
        node = replace(node, children=children)
    for step in steps:
        if step.element == node.name:
            node = step.apply(node)
    return node
