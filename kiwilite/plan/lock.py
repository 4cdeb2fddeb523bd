"""What `appliance.lock` holds: for each selection of profiles the question and the answer.

The question is what the description asks for; where it has changed, the answer is none.
The answer is every package to the byte, the repositories as they were, the bootstrap
archive, and the tools, which do not decide what is installed but what is made of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from kiwilite.description.model import Appliance, Repository, Span
from kiwilite.plan.selection import PackageFile, RepositoryState, Selection


@dataclass(frozen=True, slots=True)
class Question:
    """What of a description decides which packages it gets.

    `repositories` are one text each, in the order of the description.
    """

    bootstrap: tuple[str, ...]
    image: tuple[str, ...]
    recommends: bool
    bootstrap_package: str | None
    repositories: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LockedArchive:
    """The prebuilt archive a tree starts from; `package` where a repository has it."""

    name: str
    sha256: str
    package: PackageFile | None


@dataclass(frozen=True, slots=True, order=True)
class LockedTool:
    """A program that a build calls; the digest is over it and the libraries it loads."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class LockedTree:
    """The packages of a tools tree, and the repositories they are from."""

    repositories: tuple[RepositoryState, ...]
    packages: tuple[PackageFile, ...]

    @property
    def dated(self) -> tuple[PackageFile, ...]:
        """The packages with the time at which each repository had them."""
        return _dated(self.packages, self.repositories)


@dataclass(frozen=True, slots=True)
class Locked:
    """One selection of profiles. With a `tools_tree` there are no `tools` of the host."""

    question: Question
    repositories: tuple[RepositoryState, ...]
    archive: LockedArchive | None
    selection: Selection
    tools: tuple[LockedTool, ...]
    tools_tree: LockedTree | None = None

    @property
    def dated(self) -> Selection:
        """The selection with the time at which each repository had what is from it."""
        chosen = self.selection
        return replace(
            chosen,
            bootstrap=_dated(chosen.bootstrap, self.repositories),
            image=_dated(chosen.image, self.repositories),
        )

    @property
    def packages(self) -> dict[str, PackageFile]:
        """What ends up in the image, by name: the image's packages may renew the minimal tree's."""
        return {p.name: p for p in (*self.selection.bootstrap, *self.selection.image)}


def _dated(
    packages: tuple[PackageFile, ...], repositories: tuple[RepositoryState, ...]
) -> tuple[PackageFile, ...]:
    times = {(s.repository, s.suite.rstrip("/")): _time(s.date) for s in repositories}
    places = (p.where for p in packages)
    seen = (times.get((w.repository, w.suite.split("/")[0])) for w in places)
    return tuple(
        replace(p, where=replace(p.where, seen=time))
        for p, time in zip(packages, seen, strict=True)
    )


_DATE = re.compile(r"\w{3}, +(\d{1,2}) (\w{3}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:UTC|GMT)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _time(date: str | None) -> str | None:
    """The Date of a Release file as snapshot mirrors write times; None of what is no date."""
    found = _DATE.fullmatch(date or "")
    if found is None or found[2] not in _MONTHS:
        return None
    month = _MONTHS.index(found[2]) + 1
    return f"{found[3]}{month:02}{int(found[1]):02}T{found[4]}{found[5]}{found[6]}Z"


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole file: selections by `selection_name`."""

    selections: Mapping[str, Locked] = field(default_factory=dict)

    def having(self, name: str, locked: Locked) -> Lock:
        """The lock with one selection put in; the others stay as they are."""
        return Lock({**self.selections, name: locked})


def selection_name(appliance: Appliance) -> str:
    """Name of what was selected: image, architecture, type, profiles."""
    words = [appliance.name, appliance.arch, appliance.type.image]
    return " ".join(
        [*words, *([",".join(sorted(appliance.profiles))] if appliance.profiles else [])]
    )


def question(appliance: Appliance) -> Question:
    """What the description asks, names sorted."""
    packages = appliance.packages
    wanted = packages.bootstrap_package
    return Question(
        bootstrap=tuple(sorted({p.name for p in packages.bootstrap})),
        image=tuple(sorted({p.name for p in packages.image})),
        recommends=packages.recommends,
        bootstrap_package=wanted.name if wanted else None,
        repositories=tuple(_repository(r) for r in appliance.repositories if not r.imageonly),
    )


def _repository(repository: Repository) -> str:
    words = [repository.address, repository.distribution or "./", *repository.components]
    if repository.architectures:
        words.append(f"architectures={','.join(repository.architectures)}")
    if repository.priority is not None:
        words.append(f"priority={repository.priority}")
    if repository.snapshot:
        words.append(f"snapshot={repository.snapshot}")
    return " ".join(words)


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which a description differs from its lock; `where` is None for the lock."""

    message: str
    where: Span | None


def differences(appliance: Appliance, locked: Locked) -> tuple[Difference, ...]:
    """Why the lock is no answer to what the description asks now; empty where it is."""
    then, now = locked.question, question(appliance)
    found = [
        Difference(_asks(name, locked), _span(appliance, name))
        for before, after in ((then.bootstrap, now.bootstrap), (then.image, now.image))
        for name in sorted(set(after) - set(before))
    ]
    found += [
        Difference(f"the lock has the package {name}, which the description asks for no more", None)
        for before, after in ((then.bootstrap, now.bootstrap), (then.image, now.image))
        for name in sorted(set(before) - set(after))
    ]
    if then.recommends != now.recommends:
        words = ("without", "with") if now.recommends else ("with", "without")
        message = (
            f"the lock was made {words[0]} recommended packages, the description is {words[1]}"
        )
        found.append(Difference(message, None))
    if then.bootstrap_package != now.bootstrap_package:
        wanted, had = (n or "none" for n in (now.bootstrap_package, then.bootstrap_package))
        message = f"the description wants the bootstrap archive {wanted}, the lock has {had}"
        found.append(Difference(message, None))
    return (*found, *_of_repositories(appliance, then.repositories))


def _asks(name: str, locked: Locked) -> str:
    only = " but as what another one needs" if name in locked.packages else ""
    return f"the description asks for the package {name}, which is not in the lock{only}"


def _span(appliance: Appliance, name: str) -> Span | None:
    packages = (*appliance.packages.bootstrap, *appliance.packages.image)
    return next((p.span for p in packages if p.name == name), None)


def _of_repositories(appliance: Appliance, then: tuple[str, ...]) -> list[Difference]:
    now = {_repository(r): r.span for r in appliance.repositories if not r.imageonly}
    found = [
        Difference(f"the repository {text} is not in the lock", span)
        for text, span in now.items()
        if text not in then
    ]
    found += [
        Difference(f"the lock has the repository {text}, the description has it no more", None)
        for text in then
        if text not in now
    ]
    if not found and tuple(now) != then:
        found.append(Difference("the repositories stand in another order than in the lock", None))
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """One package that a new lock has otherwise; `old` or `new` is None where it is not there."""

    name: str
    old: PackageFile | None
    new: PackageFile | None


def changes(old: Locked | None, new: Locked) -> tuple[Change, ...]:
    """Packages added, removed or in other versions (or other bytes), sorted by name."""
    return _changes(old.packages if old else {}, new.packages)


def tool_changes(old: Locked | None, new: Locked) -> tuple[Change, ...]:
    """The same of the tools tree."""
    before, after = (x.tools_tree.packages if x and x.tools_tree else () for x in (old, new))
    return _changes({p.name: p for p in before}, {p.name: p for p in after})


def _changes(
    before: Mapping[str, PackageFile], after: Mapping[str, PackageFile]
) -> tuple[Change, ...]:
    return tuple(
        Change(name, before.get(name), after.get(name))
        for name in sorted(before.keys() | after.keys())
        if _identity(before.get(name)) != _identity(after.get(name))
    )


def _identity(package: PackageFile | None) -> tuple[str, ...] | None:
    return None if package is None else (package.version, package.architecture, package.sha256)


def other_tools(locked: Locked, here: tuple[LockedTool, ...]) -> tuple[str, ...]:
    """Names of tools that are not those of the lock, in the order of `here`."""
    digests = {tool.name: tool.sha256 for tool in locked.tools}
    return tuple(tool.name for tool in here if digests.get(tool.name) != tool.sha256)
