"""Older descriptions, brought to the current vocabulary: what changed, and the tree in memory.

STEPS is the one list of changes. The tree is upgraded by it here, places being kept;
the text of a file by `upgrade_text`. Source of the steps: the differences between
KIWI's schema versions 7.4 to 8.5.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.reader import XML_SPACE
from kiwilite.description.tree import Node

CURRENT: Final = "8.5"
VERSIONS: Final = ("7.4", "7.5", "7.6", "8.0", "8.1", "8.2", "8.3", "8.4", CURRENT)

Pair = tuple[str, str]
"""Name and value of an attribute."""


def _the_same(value: str) -> Sequence[str]:
    return (value,)


@dataclass(frozen=True, slots=True)
class AttributeStep:
    """With `version`, `attribute` of `element` became the attributes `names`, or was dropped.

    `values` makes their values, of which there may be fewer than names. With `only` the
    attribute stays, unless it has that value.
    """

    version: str
    element: str
    attribute: str
    names: tuple[str, ...] = ()
    values: Callable[[str], Sequence[str]] = _the_same
    only: str | None = None

    def successors(self, name: str, value: str) -> tuple[Pair, ...]:
        """What the attribute `name` of an `element` is from `version` on."""
        if name != self.attribute or self.only not in (None, value.strip()):
            return ((name, value),)
        return tuple(zip(self.names, self.values(value), strict=False))


@dataclass(frozen=True, slots=True)
class WordStep:
    """With `version`, `element` says `new` where it said `old`."""

    version: str
    element: str
    old: str
    new: str


Step = AttributeStep | WordStep


def _as_names(tags: str) -> Sequence[str]:
    """`a,b` as `:a,:b`: a tag is a name of which the part before the colon is empty."""
    return (",".join(f":{tag}" for tag in tags.split(",")),)


def _consoles(text: str) -> Sequence[str]:
    """`out in in`: the first word, and the others."""
    output, _, rest = text.partition(" ")
    return (output, rest) if rest else (output,)


STEPS: Final[tuple[Step, ...]] = (
    AttributeStep("7.5", "containerconfig", "additionaltags", ("additionalnames",), _as_names),
    WordStep("7.6", "packagemanager", "dnf", "dnf4"),
    AttributeStep("8.1", "repository", "type", only="rpm-dir"),
    AttributeStep("8.2", "repository", "use_for_bootstrap"),
    AttributeStep(
        "8.3", "type", "btrfs_root_is_snapshot", names=("btrfs_root_is_snapper_snapshot",)
    ),
    AttributeStep("8.4", "bootloader", "console", ("output_console", "input_console"), _consoles),
    AttributeStep("8.5", "type", "vga"),
)


def dropped_since(element: str, attribute: str) -> str | None:
    """A hint for an attribute of older versions, or None if there never was such a one."""
    for step in STEPS:
        if (
            isinstance(step, AttributeStep)
            and step.only is None
            and (step.element, step.attribute) == (element, attribute)
        ):
            if not step.names:
                return f"it was dropped with schemaversion {step.version}"
            return f"with schemaversion {step.version} it became `{'` and `'.join(step.names)}`"
    return None


def steps_since(version: str) -> tuple[Step, ...]:
    """What changed after `version`, which is one of VERSIONS."""
    return tuple(s for s in STEPS if VERSIONS.index(s.version) > VERSIONS.index(version))


def successors(element: str, name: str, value: str, steps: Sequence[Step]) -> tuple[Pair, ...]:
    """What the attribute `name` of `element` has become after `steps`."""
    now: tuple[Pair, ...] = ((name, value),)
    for step in steps:
        if isinstance(step, AttributeStep) and step.element == element:
            now = tuple(after for pair in now for after in step.successors(*pair))
    return now


def changed_attributes(node: Node, steps: Sequence[Step]) -> dict[str, tuple[Pair, ...]]:
    """The attributes of `node` that `steps` change, and what becomes of each.

    One that has its successor beside it stays, so that the grammar complains of it.
    """
    changed = {}
    for name, value in node.attributes.items():
        now = successors(node.name, name, value, steps)
        taken = any(new != name and new in node.attributes for new, _ in now)
        if now != ((name, value),) and not taken:
            changed[name] = now
    return changed


def changed_word(node: Node, steps: Sequence[Step]) -> str | None:
    """What `node` says after `steps`, or None if that is the same as before."""
    said = now = node.text.strip(XML_SPACE)
    for step in steps:
        if isinstance(step, WordStep) and (step.element, step.old) == (node.name, now):
            now = step.new
    return None if now == said else now


def unreadable(root: Node) -> Diagnostic | None:
    """The error that stands against the schemaversion of `root`, which is not None."""
    version = root.get("schemaversion")
    if version in VERSIONS:
        return None
    return Diagnostic(
        root.attribute_span("schemaversion"),
        "error",
        "KL0010",
        f"schemaversion `{version}` cannot be read; {VERSIONS[0]} to {CURRENT} can",
        f'a new description has schemaversion="{CURRENT}"',
    )


def upgrade(root: Node) -> tuple[Node, list[Diagnostic]]:
    """`root` in the current vocabulary, or as it is with the error that stands against it.

    A missing schemaversion is left to the grammar.
    """
    version = root.get("schemaversion")
    if version is None or version == CURRENT:
        return root, []
    if problem := unreadable(root):
        return root, [problem]
    upgraded = _upgraded(root, steps_since(version))
    return replace(upgraded, attributes={**upgraded.attributes, "schemaversion": CURRENT}), []


def _upgraded(node: Node, steps: Sequence[Step]) -> Node:
    children = tuple(_upgraded(child, steps) for child in node.children)
    if any(new is not old for new, old in zip(children, node.children, strict=True)):
        node = replace(node, children=children)
    mine = [step for step in steps if step.element == node.name]
    if not mine:
        return node
    word = changed_word(node, mine)
    changed = changed_attributes(node, mine)
    return _with(node, changed, node.text if word is None else word)


def _with(node: Node, changed: Mapping[str, tuple[Pair, ...]], text: str) -> Node:
    attributes: dict[str, str] = {}
    renamed = {}
    for name, value in node.attributes.items():
        now = changed.get(name, ((name, value),))
        attributes.update(now)
        renamed.update({new: name for new, _ in now if new != name})
    return replace(node, attributes=attributes, text=text, renamed=renamed)
