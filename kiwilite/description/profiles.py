"""Profiles: which are declared, which become active, and which sections then hold.

KIWI's semantics: without a request every profile with import="true" is active, with
any request none of them is; `requires` is followed depth first, the requirer before
what it requires; a section holds if any of its profiles is active.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kiwilite.description import suggest
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.given import meant_values
from kiwilite.description.model import Span
from kiwilite.description.tree import Node
from kiwilite.description.values import boolean, comma_list
from kiwilite.description.vocabulary import vocabulary

MANY = 1000
"""So many declared profiles are looked at for a suggestion."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A declared profile."""

    name: str
    description: str
    imported: bool
    architectures: tuple[str, ...]
    """Empty: all."""
    requires: tuple[str, ...]
    """Names this profile requires on any architecture."""
    span: Span


@dataclass(frozen=True, slots=True)
class Selection:
    """What is selected: the architecture, and the active profiles in KIWI's order."""

    arch: str
    profiles: tuple[str, ...]

    def holds(self, node: Node) -> bool:
        """Whether `profiles=` and `arch=` of `node` let it hold."""
        wanted = comma_list(node.attributes.get("profiles"))
        fits = not wanted or any(name in self.profiles for name in wanted)
        return fits and matches(node, self.arch)

    def sections(self, root: Node, *names: str) -> Iterator[Node]:
        """The sections with one of `names` that hold, in document order."""
        return (node for node in root.all(*names) if self.holds(node))


def matches(node: Node, arch: str) -> bool:
    """Whether `arch=` of `node` names `arch`; ix86 stands for i586 and i686."""
    wanted = comma_list(node.attributes.get("arch"))
    return not wanted or arch in wanted or (arch in ("i586", "i686") and "ix86" in wanted)


def _declarations(root: Node) -> list[Node]:
    return [profile for section in root.all("profiles") for profile in section.all("profile")]


def declared(root: Node) -> tuple[Profile, ...]:
    """All declared profiles, in document order."""
    return tuple(
        Profile(
            node.get("name") or "",
            node.get("description") or "",
            boolean(node, "import"),
            comma_list(node.get("arch")),
            tuple(r.get("profile") or "" for r in node.all("requires")),
            node.span,
        )
        for node in _declarations(root)
    )


def select(root: Node, requested: Sequence[str], arch: str) -> tuple[Selection, list[Diagnostic]]:
    """The selection for `requested` profiles on `arch`, and what is wrong with the request."""
    nodes = _declarations(root)
    here = {node.get("name") or "": node for node in nodes if matches(node, arch)}
    everywhere = {node.get("name") or "" for node in nodes}
    section = root.first("profiles") or root
    wanted = list(requested)
    if not requested:
        wanted = [name for name, node in here.items() if boolean(node, "import")]
    active: dict[str, None] = {}
    problems: dict[Diagnostic, None] = {}
    to_do = [(name, section.span) for name in reversed(wanted)]
    while to_do:
        name, asked_at = to_do.pop()
        if name in active:
            continue
        if name not in here:
            problems[_not_here(name, asked_at, everywhere, arch)] = None
            continue
        active[name] = None
        required = [
            (requires.get("profile") or "", requires.attribute_span("profile"))
            for requires in here[name].all("requires")
            if matches(requires, arch)
        ]
        # an unknown name is reported by check_references, whoever requires it
        to_do += [pair for pair in reversed(required) if pair[0] in everywhere]
    return Selection(arch, tuple(active)), list(problems)


def _not_here(name: str, span: Span, declared_names: Iterable[str], arch: str) -> Diagnostic:
    if name in declared_names:
        message = f"the profile `{name}` does not exist for {arch}"
        return Diagnostic(span, "error", "KL0202", message)
    return unknown(name, span, declared_names)


def unknown(name: str, span: Span, declared_names: Iterable[str]) -> Diagnostic:
    """The error for a profile `name` that is declared nowhere."""
    names = list(declared_names)[:MANY]
    hint = suggest.hint(name, names)
    if hint is None:
        hint = suggest.legal("the profiles are", names) or "the description declares no profiles"
    return Diagnostic(span, "error", "KL0201", f"there is no profile `{name}`", hint)


def check_references(root: Node) -> Iterator[Diagnostic]:
    """Unknown names in `profiles=` and `requires`, and profiles declared twice."""
    nodes = _declarations(root)
    names = dict.fromkeys(node.get("name") or "" for node in nodes)
    references = [
        (name, node, attribute)
        for node, attribute in _references(root, nodes)
        for name in comma_list(node.attributes.get(attribute))
        if name not in names
    ]
    meant = _meant_names(root) if references else []
    for name, node, attribute in references:
        if name not in meant and "" not in meant:
            yield unknown(name, node.attribute_span(attribute), names)
    seen: dict[str, list[Node]] = {}
    for node in nodes:
        name = node.get("name") or ""
        earlier = seen.setdefault(name, [])
        if twin := next((e for e in earlier if _overlap(e, node)), None):
            message = f"the profile `{name}` is already declared at line {twin.span.line}"
            yield Diagnostic(node.attribute_span("name"), "error", "KL0203", message)
        earlier.append(node)


def _references(root: Node, declarations: Iterable[Node]) -> Iterator[tuple[Node, str]]:
    """(element, attribute) of everything that names profiles."""
    yield from ((node, "profiles") for node in root.children)
    for declaration in declarations:
        yield from ((requires, "profile") for requires in declaration.all("requires"))


def _meant_names(root: Node) -> list[str]:
    """Names of all declarations, the misspelt and misplaced too; "" for one without a name.

    Those are reported by the grammar already, and so is not what refers to them.
    """
    legal = vocabulary().elements
    sections = (
        node
        for node in root.walk()
        if node.name == "profiles"
        or (node.name not in legal and suggest.nearest(node.name, ["profiles"]) is not None)
    )
    return [name for section in sections for name in meant_values(section, "profile", "name")]


def _overlap(a: Node, b: Node) -> bool:
    """Whether two declarations hold on a common architecture."""
    first, second = comma_list(a.get("arch")), comma_list(b.get("arch"))
    return not first or not second or not set(first).isdisjoint(second)
