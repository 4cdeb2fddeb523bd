"""From the path of a description to an `Appliance`, with everything that is to be said of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from kiwilite.description import checks, hooks, luks, room, storage, switches, table, verity
from kiwilite.description.choose import Chosen, choose
from kiwilite.description.diagnostics import DescriptionInvalid, Diagnostic
from kiwilite.description.dropped import check_dropped
from kiwilite.description.find import description_file
from kiwilite.description.include import resolve_includes
from kiwilite.description.model import Appliance
from kiwilite.description.profiles import Profile, Selection, check_references, declared, select
from kiwilite.description.reader import parse
from kiwilite.description.resolve import packages_sections, resolve
from kiwilite.description.rules import check_rules
from kiwilite.description.schema import is_valid
from kiwilite.description.secret import check_placeholders
from kiwilite.description.source import read_source
from kiwilite.description.support import check_support
from kiwilite.description.tree import Node
from kiwilite.description.upgrade import upgrade

MOST = 1000
"""So many mistakes of a kind are reported; a file with more is no description."""


@dataclass(frozen=True, slots=True)
class Document:
    """A description as a tree, includes resolved, in the current vocabulary.

    `version` is the schemaversion the file has on disk; `problems` are its faults
    whatever profiles are chosen; `fits` says whether it fits the schema.
    """

    root: Node
    version: str
    fits: bool
    problems: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class Examined:
    """A description with the choices made in it, and all that is to be said of it.

    `appliance` is None where it cannot be resolved.
    """

    document: Document
    selection: Selection
    chosen: Chosen
    appliance: Appliance | None
    found: tuple[Diagnostic, ...]


def load(
    path: Path,
    profiles: Sequence[str] = (),
    *,
    arch: str | None = None,
    type_name: str | None = None,
) -> tuple[Appliance, tuple[Diagnostic, ...]]:
    """The appliance that the description at `path` (file or directory) describes.

    `profiles` are those asked for; `arch` is a machine name as `uname -m` has it,
    this host's if None; `type_name` picks a `<type>` by its image. The second value
    holds warnings and notes. Raises DescriptionInvalid with all that was found,
    UsageError if `path` is a directory without a description.
    """
    examined = examine(path, profiles, arch=arch, type_name=type_name)
    if examined.appliance is None or any(p.severity == "error" for p in examined.found):
        raise DescriptionInvalid(examined.found)
    return examined.appliance, examined.found


def examine(
    path: Path,
    profiles: Sequence[str] = (),
    *,
    arch: str | None = None,
    type_name: str | None = None,
) -> Examined:
    """As `load`, for those who look at a description with errors too; raises as `read` does."""
    return examine_document(read(path), profiles, arch or host_arch(), type_name)


def examine_document(
    document: Document, profiles: Sequence[str], arch: str, type_name: str | None
) -> Examined:
    """As `examine`, of a description that has been read."""
    root = document.root
    selection, problems = select(root, profiles, arch)
    chosen, unclear = choose(root, selection, type_name)
    if not document.fits:  # what seems missing, or twice there, follows from the grammar's faults
        unclear = []
    later = [*problems, *unclear]
    appliance: Appliance | None = None
    if chosen.type is not None:
        later += _check_nodes(root, selection, chosen, chosen.type)
        if document.fits or _is_sound(chosen.type):
            later += islice(_check_storage(chosen.type, root.file.parent, selection.arch), MOST)
        if document.fits:
            later += _support(root, selection, chosen.type)
        if document.fits and "version" in chosen.values:
            appliance = resolve(root, document.version, selection, chosen)
            later += room.check_room(appliance.type, chosen.type, appliance.overlay_trees)
            later += hooks.check_hooks(root.span, appliance.overlay_trees)
            if appliance.type.initrd_system == "dracut":
                later += hooks.check_dracut(appliance.dracut_configuration)
            later += checks.check_initrd_packages(appliance, chosen.type)
    problems = [*document.problems, *_elsewhere(later, document.problems)]
    return Examined(document, selection, chosen, appliance, in_order(root.file, problems))


def read(path: Path) -> Document:
    """The tree of the description at `path`, with its faults whatever profiles are chosen.

    Raises DescriptionInvalid where there is no tree: unreadable, not well-formed, or
    of a schemaversion that cannot be read.
    """
    file = description_file(path) if path.is_dir() else path
    root, problems = resolve_includes(parse(read_source(file)))
    version = root.get("schemaversion") or ""
    written = root
    root, unreadable = upgrade(root)
    if unreadable:
        raise DescriptionInvalid([*problems, *unreadable])
    problems += islice(check_dropped(written, root), MOST)
    fits = is_valid(root)
    if not fits:
        problems += _explanation(root)
    problems += islice(check_rules(root), MOST)
    problems += islice(check_references(root), MOST)
    problems += islice(check_placeholders(root), MOST)
    return Document(root, version, fits, tuple(problems))


def profiles_of(path: Path) -> tuple[Profile, ...]:
    """The profiles that the description at `path` declares; raises as `read` does."""
    return declared(read(path).root)


def host_arch() -> str:
    """This host's architecture as KIWI spells it."""
    machine = os.uname().machine
    return "ix86" if machine in ("i586", "i686") else machine


def _explanation(root: Node) -> list[Diagnostic]:
    from kiwilite.description import explain

    return explain.explain(root) or explain.in_the_words_of_others(root)


def _is_sound(image_type: Node) -> bool:
    from kiwilite.description import explain

    return explain.is_sound(image_type)


def _elsewhere(later: Iterable[Diagnostic], first: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those of `later` that do not follow from an error which stands at the same place."""
    taken = {problem.span for problem in first if problem.severity == "error"}
    return [problem for problem in later if problem.span not in taken]


def _check_nodes(
    root: Node, selection: Selection, chosen: Chosen, image_type: Node
) -> list[Diagnostic]:
    image = image_type.get("image") or ""
    sections = list(packages_sections(root, selection, image))
    problems = list(islice(checks.check_selection(root, selection, image_type, sections), MOST))
    if "version" in chosen.values:
        problems += checks.check_version(root, chosen.values["version"])
    return problems


def _check_storage(image_type: Node, directory: Path, arch: str) -> Iterator[Diagnostic]:
    yield from storage.check_partitions(image_type)
    yield from storage.check_trees(image_type)
    yield from storage.check_growth(image_type)
    yield from table.check_table(image_type, arch)
    yield from luks.check_luks(image_type, directory)
    yield from luks.check_encrypted(image_type)
    yield from verity.check_verity(image_type, directory)
    yield from switches.check_switches(image_type)


def _support(root: Node, selection: Selection, image_type: Node) -> Iterator[Diagnostic]:
    sections = list(packages_sections(root, selection, image_type.get("image") or ""))
    return islice(check_support(root, selection, image_type, sections), MOST)


def in_order(main: Path, problems: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each problem once, those of the main file first, then as they stand in the files."""

    def place(problem: Diagnostic) -> tuple[bool, str, int, int]:
        span = problem.span
        return span.file != main, str(span.file), span.line, span.column

    return tuple(sorted(dict.fromkeys(problems), key=place))
