"""From the outline of a description, and the appliance if there is one, to its picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Appliance
from kiwilite.description.outline import Outline, Section, for_arch
from kiwilite.description.profiles import Profile
from kiwilite.plan.diagram.model import Arrow, Box, Diagram, Lane
from kiwilite.plan.diagram.storage import disk
from kiwilite.plan.diagram.words import counted, listed, more

ALWAYS = "always"
MOST_PROFILES = 60
MOST_BOXES = 40
"""In a lane."""
MOST_WORDS = 6
"""In a list that is part of a sentence."""
MOST_REASONS = 8

BOOTSTRAP, IMAGE, UNINSTALL, DELETE = "bootstrap", "image", "uninstall", "delete"
_WHAT_FOR: Final = {
    BOOTSTRAP: "the minimal system",
    IMAGE: "the system",
    UNINSTALL: "taken out by the package manager",
    DELETE: "taken out by force",
}


def diagram(
    outline: Outline, appliance: Appliance | None, not_built: Sequence[Diagnostic] = ()
) -> Diagram:
    """The picture of a description.

    `not_built` are the reasons for which there is no appliance.
    """
    shown = outline.profiles[:MOST_PROFILES]
    lanes = tuple(sorted(_lanes(outline), key=lambda lane: not _holds(lane)))
    return Diagram(
        title=" ".join(p for p in (outline.displayname or outline.name, outline.version) if p),
        subtitle=_subtitle(outline),
        always=_always(outline),
        profiles=(*(_profile(outline, p) for p in shown), *_undrawn(outline)),
        requires=tuple(_requires(shown)),
        lanes=lanes,
        flow=tuple(_flow(lanes)),
        disk=None if appliance is None else disk(appliance),
        instead=() if appliance is not None else tuple(_reasons(not_built)),
    )


def _subtitle(outline: Outline) -> str:
    active = outline.selection.profiles
    image = f', image="{outline.image}"' if outline.image else ""
    if not outline.profiles:
        return f"{outline.selection.arch}{image}"
    chosen = f"profiles {listed(active, MOST_WORDS)}" if active else "no profile selected"
    return f"{outline.selection.arch}{image}, {chosen}"


def _always(outline: Outline) -> Box:
    hanging = [s for s in outline.sections if not s.profiles]
    folder = ("overlay tree root/",) if "root" in outline.folders else ()
    return Box(ALWAYS, ALWAYS, lines=(*folder, *_hanging(hanging, ())))


def _key(number: int) -> str:
    return f"profile-{number}"


def _profile(outline: Outline, profile: Profile) -> Box:
    number = outline.profiles.index(profile) + 1
    lines = [profile.description] if profile.description else []
    if profile.architectures:
        words = "" if for_arch(profile, outline.selection.arch) else ", not for this one"
        lines.append(f"for {listed(profile.architectures, MOST_WORDS)} only{words}")
    if profile.name in outline.folders and profile.name != "root":
        lines.append(f"overlay tree {profile.name}/")
    hanging = [s for s in outline.sections if profile.name in s.profiles]
    return Box(
        _key(number),
        profile.name,
        badge="by default" if profile.imported else "",
        lines=(*lines, *_hanging(hanging, (profile.name,))),
        holds=profile.name in outline.selection.profiles,
    )


def _undrawn(outline: Outline) -> Iterator[Box]:
    rest = outline.profiles[MOST_PROFILES:]
    if rest:
        names = tuple(p.name for p in rest)
        holds = not set(names).isdisjoint(outline.selection.profiles)
        yield Box("profiles", counted(len(rest), "more profile"), names=names, holds=holds)


def _requires(profiles: Sequence[Profile]) -> Iterator[Arrow]:
    keys = {profile.name: _key(n) for n, profile in enumerate(profiles, 1)}
    for profile in profiles:
        for required in dict.fromkeys(profile.requires):
            if required in keys and required != profile.name:
                yield Arrow(keys[profile.name], keys[required])


def _hanging(sections: Sequence[Section], owner: tuple[str, ...]) -> Iterator[str]:
    """A sentence for each kind of section, repositories among each other and so on."""
    groups: dict[tuple[str, str, str], list[Section]] = {}
    for s in sections:
        kind = s.title if s.element == "packages" else ""
        others = [p for p in s.profiles if p not in owner]
        notes = [f"with {_either(others)} too"] if others else []
        notes += [f"for {listed(s.arch, MOST_WORDS)} only"] if s.arch else []
        groups.setdefault((s.element, kind, ", ".join(notes)), []).append(s)
    for (element, kind, note), group in groups.items():
        behind = f" ({note})" if note else ""
        yield f"{f'{element} {kind}'.strip()}: {_content(group)}{behind}"


def _either(names: Sequence[str]) -> str:
    shown = " or ".join(names[:3])
    return f"{shown} {more(len(names) - 3)}" if len(names) > 3 else shown


def _content(group: Sequence[Section]) -> str:
    if group[0].element == "repository":
        return listed([s.title for s in group], MOST_WORDS)
    packages = {name for s in group for name in s.packages}
    others = list(dict.fromkeys(word for s in group for word in s.others))
    if group[0].element == "packages":
        counts = [counted(len(packages), "package")] if packages or not others else []
        return listed([*counts, *others], MOST_WORDS)
    return listed(others, MOST_WORDS) or "empty"


def _lanes(outline: Outline) -> Iterator[Lane]:
    repositories = [s for s in outline.sections if s.element == "repository"]
    if repositories:
        boxes = [_repository(s, n) for n, s in enumerate(repositories, 1)]
        badge = counted(sum(b.holds for b in boxes), "source")
        yield Lane("repositories", "repositories", badge, _at_most(boxes, "repositories"))
    by_type: dict[str, list[Section]] = {}
    for s in outline.sections:
        if s.element == "packages":
            by_type.setdefault(s.title, []).append(s)
    used = [BOOTSTRAP, IMAGE, outline.image or "", UNINSTALL, DELETE]
    for kind in dict.fromkeys([*used, *by_type]):
        if kind in by_type:
            yield _packages(kind, by_type[kind], outline)


def _flow(lanes: Sequence[Lane]) -> Iterator[Arrow]:
    """From lane to lane, as a build goes; those of which nothing holds stand aside."""
    used = [lane for lane in lanes if _holds(lane)]
    return (Arrow(a.key, b.key) for a, b in pairwise(used))


def _holds(lane: Lane) -> bool:
    return any(box.holds for box in lane.boxes)


def _repository(section: Section, number: int) -> Box:
    lines = (*section.others, *_condition(section))
    return Box(f"repository-{number}", section.title, lines=lines, holds=section.holds)


def _condition(section: Section) -> Iterator[str]:
    if section.profiles:
        yield f"with {_either(section.profiles)}"
    if section.arch:
        yield f"for {listed(section.arch, MOST_WORDS)} only"


def _packages(kind: str, sections: Sequence[Section], outline: Outline) -> Lane:
    purpose = _WHAT_FOR.get(kind)
    if purpose is None:
        here = kind == outline.image
        purpose = "for this image type" if here else "for another image type"
    groups: dict[tuple[tuple[str, ...], tuple[str, ...], bool], list[Section]] = {}
    for s in sections:
        groups.setdefault((s.profiles, s.arch, s.holds), []).append(s)
    boxes = [_packages_box(f"{kind}-{n}", g) for n, g in enumerate(groups.values(), 1)]
    chosen = {name for s in sections if s.holds for name in s.packages}
    everything = {name for s in sections for name in s.packages}
    badge = counted(len(chosen), "package")
    if len(everything) > len(chosen):
        badge = f"{len(chosen)} of {counted(len(everything), 'package')}"
    return Lane(kind, f"{kind}: {purpose}", badge, _at_most(boxes, kind))


def _packages_box(key: str, group: Sequence[Section]) -> Box:
    """Sections with the same condition are one box."""
    first = group[0]
    names = tuple(dict.fromkeys(name for s in group for name in s.packages))
    others = list(dict.fromkeys(word for s in group for word in s.others))
    arch = f"for {listed(first.arch, MOST_WORDS)} only" if first.arch else ""
    return Box(
        key,
        listed(first.profiles, 3) or ALWAYS,
        badge=str(len(names)) if names else "",
        lines=tuple(word for word in (arch, listed(others, MOST_WORDS)) if word),
        names=names,
        holds=first.holds,
    )


def _at_most(boxes: Sequence[Box], key: str) -> tuple[Box, ...]:
    """`boxes`, those that hold first and the last of too many as one."""
    if len(boxes) <= MOST_BOXES:
        return tuple(boxes)
    ordered = sorted(boxes, key=lambda box: not box.holds)
    rest = ordered[MOST_BOXES:]
    names = tuple(dict.fromkeys(name for box in rest for name in box.names))
    badge = str(len(names)) if names else ""
    holds = any(box.holds for box in rest)
    folded = Box(f"{key}-more", f"{len(rest)} more", badge, names=names, holds=holds)
    return (*ordered[:MOST_BOXES], folded)


def _reasons(not_built: Sequence[Diagnostic]) -> Iterator[str]:
    yield "There is no disk to draw: kiwilite does not build this description."
    for reason in not_built[:MOST_REASONS]:
        yield f"{reason.span.file.name}:{reason.span.line}: {reason.message}"
    if len(not_built) > MOST_REASONS:
        yield f"{len(not_built) - MOST_REASONS} reasons more"
