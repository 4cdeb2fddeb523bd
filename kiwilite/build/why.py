"""What changed since the last build, as reasons for which a step has to run. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kiwilite.build.record import StepRecord

Cause = Literal[
    "no record",
    "never built",
    "parameter",
    "package",
    "file",
    "step",
    "tool",
    "library",
    "code",
    "entry removed",
    "entry damaged",
    "unknown",
]
State = Literal["removed", "damaged"]
"""What became of the entry of a key that the store does not have."""

NAMES = ("name", "id", "mapping", "partition", "mountpoint", "target", "uri")
"""Fields by which the items of a list are told apart, the first that all of them have."""


PACKAGE = "PackageFile"
"""Of what a lock or apt has selected the name and the version are said, and no more."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that changed; `before` and `now` are JSON data, None where there is nothing.

    `field` is CLASS.FIELD of a parameter, and `item` the name of what it belongs to, where
    that is one of several.
    """

    cause: Cause
    what: str = ""
    before: Any = None
    now: Any = None
    field: str = ""
    item: str = ""


def why(before: StepRecord | None, now: StepRecord, state: State) -> tuple[Reason, ...]:
    """The reasons for which the step of `now`, which the store does not have, has to run."""
    if before is None:
        return (Reason("never built"),)
    if before.key == now.key:
        return (Reason("entry removed" if state == "removed" else "entry damaged"),)
    found = [*_parameters(before, now), *_files(before, now), *_inputs(before, now)]
    found += [*_tools(before, now)]
    found += _mapping("library", before.libraries, now.libraries)
    found += [Reason("code", r.what) for r in _mapping("code", before.code, now.code)]
    return tuple(found) or (Reason("unknown"),)


def _mapping(cause: Cause, before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Reason]:
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            yield Reason(cause, name, before.get(name), now.get(name))


def _inputs(before: StepRecord, now: StepRecord) -> Iterator[Reason]:
    for reason in _mapping("step", before.inputs, now.inputs):
        if reason.now is not None:  # one that is no longer read shows in the parameters
            yield Reason("step", reason.what)


def _tools(before: StepRecord, now: StepRecord) -> Iterator[Reason]:
    for name in sorted(before.tools.keys() | now.tools.keys()):
        old, new = before.tools.get(name, (None, None)), now.tools.get(name, (None, None))
        if old[0] != new[0]:
            yield Reason("tool", name, old[0], new[0])
        elif old[1] != new[1]:
            yield Reason("tool", name, new[0], new[0])


def _files(before: StepRecord, now: StepRecord) -> Iterator[Reason]:
    """A source that is read no more, or newly, shows in the parameters."""
    for source in (s for s in now.files if s in before.files):
        old, new = before.files[source], now.files[source]
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                what = source if name == "." else f"{source}/{name}"
                yield _file(what, old.get(name), new.get(name))


def _file(what: str, before: str | None, now: str | None) -> Reason:
    """`before` and `now` are modes where these differ, kinds or targets, else both empty."""
    if before is None or now is None:
        return Reason("file", what, before and "there", now and "there")
    old, new = before.split(" ", 1), now.split(" ", 1)
    if old[1] == new[1]:
        return Reason("file", what, f"mode {old[0]}", f"mode {new[0]}")
    kinds = [words.split(" ")[0] for words in (old[1], new[1])]
    if kinds[0] != kinds[1] or kinds[0] == "link":
        return Reason("file", what, _readable(old[1]), _readable(new[1]))
    return Reason("file", what, "content", "content")


def _readable(words: str) -> str:
    return "file" if words.startswith("file ") else words


def _parameters(before: StepRecord, now: StepRecord) -> Iterator[Reason]:
    if before.kind != now.kind:
        yield Reason("parameter", "kind of step", before.kind, now.kind)
        return
    yield from _fields(now.kind, "", before.parameters, now.parameters)


def _fields(
    kind: str, item: str, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[Reason]:
    for name in [*now, *(n for n in before if n not in now)]:
        yield from _value(f"{kind}.{name}", name, item, before.get(name), now.get(name))


def _value(field: str, what: str, item: str, before: Any, now: Any) -> Iterator[Reason]:
    if before == now:
        return
    old, new = _named(before), _named(now)
    if isinstance(before, list) and new and new[0] == "Output":
        return  # what it will be the step says that makes it
    if old and new and old[0] == new[0] and isinstance(new[1], dict):
        yield from _fields(new[0], item, old[1], new[1])
    elif isinstance(before, list) and isinstance(now, list):
        yield from _items(field, what, item, before, now)
    else:
        yield Reason("parameter", what, _shown(before), _shown(now), field, item)


def _named(value: Any) -> tuple[str, Any] | None:
    """Class and fields, of what was a dataclass."""
    return next(iter(value.items())) if isinstance(value, dict) and len(value) == 1 else None


def _items(
    field: str, what: str, item: str, before: Sequence[Any], now: Sequence[Any]
) -> Iterator[Reason]:
    old, new = _by_name([*before]), _by_name([*now])
    if old is None or new is None:
        yield Reason("parameter", what, [*map(_shown, before)], [*map(_shown, now)], field, item)
        return
    for name in [*new, *(n for n in old if n not in new)]:
        versions = _version(old.get(name)), _version(new.get(name))
        if versions != (None, None):
            if old.get(name) != new.get(name):
                yield Reason("package", name, *versions)
        elif name not in old or name not in new:
            gone, come = _shown(old.get(name)), _shown(new.get(name))
            yield Reason("parameter", what, gone, come, field, name)
        else:
            yield from _value(field, f"{what} {name}", name, old[name], new[name])
    if before != now and sorted(old) == sorted(new) and [*old] != [*new]:
        yield Reason("parameter", f"order of {what}", [*old], [*new], field, item)


def _version(item: Any) -> str | None:
    """Of a package that was selected; None of anything else."""
    part = _named(item)
    return str(part[1]["version"]) if part and part[0] == PACKAGE else None


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """Items by what tells them apart; None where nothing does."""
    if all(isinstance(i, str) for i in items):
        rows = [(i, i) for i in items]
    elif all(isinstance(i, list) and len(i) == 2 and isinstance(i[0], str) for i in items):
        rows = [(i[0], i[1]) for i in items]
    else:
        parts = [_named(i) for i in items]
        if not all(p is not None and isinstance(p[1], dict) for p in parts):
            return None
        field = next((n for n in NAMES if all(p and p[1].get(n) for p in parts)), None)
        if field is None:
            return None
        rows = [(str(p[1][field]), i) for p, i in zip(parts, items, strict=True) if p]
    named = dict(rows)
    return named if len(named) == len(rows) else None


def _shown(value: Any) -> Any:
    """A value for people: what a reference leads to, nothing of secrets."""
    part = _named(value)
    if part is None:
        return [_shown(item) for item in value] if isinstance(value, list) else value
    if part[0] == "Secret":
        return "(secret)"
    if part[0] in ("Output", "Source"):
        return part[1]
    field = next((n for n in NAMES if part[1].get(n)), None)
    return part[1][field] if field else {n: _shown(v) for n, v in part[1].items()}
