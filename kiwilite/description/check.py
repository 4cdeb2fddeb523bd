"""All that is wrong with a description, for whichever profiles it will be built.

Where nobody asked for profiles, the file is looked at as it would be built without any,
and with each of its profiles alone; of several image types each in turn. So a mistake in
a section that is rarely built is found as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kiwilite.description.choose import choose
from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.load import Document, examine, host_arch, in_order, read
from kiwilite.description.profiles import Selection, declared, select
from kiwilite.description.tree import Node
from kiwilite.description.validity import as_to_validity

BUDGET: Final = 200_000
"""So many elements are looked at, those of each selection counted anew."""

_LACKING: Final = {"KL0206": "type", "KL0207": "version"}
"""Codes of a selection that is no whole appliance, such as a profile that others build upon,
and the element it lacks.
"""

_SEVERITIES: Final = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found, and with which profiles: the empty name stands for none asked for."""

    found: tuple[Diagnostic, ...]
    looked_at: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Profiles that are no appliance of their own, or too many."""

    @property
    def valid(self) -> bool:
        """Whether there is no error."""
        return not any(d.severity == "error" for d in self.found)


def check_description(
    path: Path,
    profiles: Sequence[str] = (),
    *,
    arch: str | None = None,
    type_name: str | None = None,
) -> Checked:
    """All that is to be said of the description at `path`, as to its validity.

    With `profiles` it is looked at for these alone, together. Raises nothing for a
    description that is wrong; UsageError if `path` is a directory without one.
    """
    try:
        document = read(path)
    except DescriptionInvalid as error:
        return Checked(error.diagnostics)
    arch = arch or host_arch()
    if profiles:
        own = _of_selection(document, profiles, arch, type_name)
        return Checked(_merged(document, own), tuple(profiles))
    return _for_each_profile(document, arch, type_name)


def _for_each_profile(document: Document, arch: str, type_name: str | None) -> Checked:
    """Without profiles, and with each alone that makes a difference."""
    bare = _of_selection(document, (), arch, type_name)
    whole = _is_whole(bare)
    found = bare if whole else []
    size = sum(1 for _ in document.root.walk())
    budget = BUDGET - size
    seen = {_footprint(document.root, select(document.root, (), arch)[0])}
    looked_at, left_out = [""] if whole else [], []
    for name in dict.fromkeys(profile.name for profile in declared(document.root)):
        selection, problems = select(document.root, (name,), arch)
        footprint = _footprint(document.root, selection)
        if problems or budget < size:
            left_out.append(name)
        elif footprint in seen:
            looked_at.append(name)
        else:
            seen.add(footprint)
            budget -= size
            own = _of_selection(document, (name,), arch, type_name)
            (looked_at if _is_whole(own) else left_out).append(name)
            found = [*found, *(d for d in own if d.code not in _LACKING)]
    if not looked_at:
        lenient = bool(left_out) and type_name is None
        found = [*found, *(_less(d, document.root) if lenient else d for d in bare)]
    return Checked(_merged(document, found), tuple(looked_at), tuple(left_out))


def _is_whole(found: Sequence[Diagnostic]) -> bool:
    return not any(d.code in _LACKING for d in found)


def _less(diagnostic: Diagnostic, root: Node) -> Diagnostic:
    """What no profile alone has, several may have together; nobody said which will be built."""
    lacking = _LACKING.get(diagnostic.code, "")
    elsewhere = any(section.first(lacking) for section in root.all("preferences"))
    return replace(diagnostic, severity="warning") if elsewhere else diagnostic


def _footprint(root: Node, selection: Selection) -> tuple[int, ...]:
    """The sections that hold; selections with the same ones are the same appliance."""
    return tuple(n for n, section in enumerate(root.children) if selection.holds(section))


def _of_selection(
    document: Document, profiles: Sequence[str], arch: str, type_name: str | None
) -> list[Diagnostic]:
    """What is to be said of one selection, for each image type that may be chosen in it."""
    found: list[Diagnostic] = []
    for name, unclear in _types(document.root, profiles, arch, type_name):
        found += as_to_validity(examine(document, profiles, arch, name)[1])
        found += unclear
    return found


def _types(
    root: Node, profiles: Sequence[str], arch: str, type_name: str | None
) -> Iterator[tuple[str | None, list[Diagnostic]]]:
    """The types to look at, and what is said beside of the choice.

    Types of several kinds wait for `--type`, so it is no mistake that nothing chooses.
    """
    selection, _ = select(root, profiles, arch)
    sections = selection.sections(root, "preferences")
    kinds = dict.fromkeys(node.get("image") for s in sections for node in s.all("type"))
    if type_name is not None or len(kinds) < 2:
        yield type_name, []
        return
    unclear = [d for d in choose(root, selection, None)[1] if d.code == "KL0205"]
    for kind in kinds:
        yield kind, [replace(d, severity="warning") for d in unclear]


def _merged(document: Document, own: Sequence[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Everything once, as grave as it is anywhere, in the order of the files."""
    worst: dict[tuple[object, ...], Diagnostic] = {}
    for each in [*document.problems, *own]:
        known = worst.setdefault((each.span, each.code, each.message), each)
        if _SEVERITIES.index(each.severity) < _SEVERITIES.index(known.severity):
            worst[each.span, each.code, each.message] = each
    return in_order(document.root.file, worst.values())
