"""What a step refers to: results of other steps, files of the description, secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

LINE = "where"
"""Name of the fields that say where something comes from: a line of the description, for
messages, or a place in a repository. What a thing is does not depend on it."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that no report, log or picture may show."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Output:
    """The result of the step named `step`: a folder of files with fixed names."""

    step: str


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder of the person who wrote the description, taken in by content and mode."""

    path: Path


_ATOMS = (str, int, type(None), UUID)
"""Most values of a step, which have no parts; to be told so at once saves every build some time."""


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, _ATOMS):
        return
    if isinstance(value, Output | Source):
        yield value
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from _parts(item)


def outputs_of(step: object) -> tuple[str, ...]:
    """Names of the steps whose results `step` reads, each once, in order."""
    return tuple(dict.fromkeys(p.step for p in _parts(step) if isinstance(p, Output)))


def sources_of(step: object) -> tuple[Source, ...]:
    """The files of the description that `step` reads, each once, in order."""
    return tuple(dict.fromkeys(p for p in _parts(step) if isinstance(p, Source)))


def plain(value: Any, names: Mapping[Any, str] | None = None) -> Any:
    """`value` as JSON data, for people without `names`, for keys with them.

    `names` replaces outputs and sources by what identifies their content, and what only says
    where something comes from is left out. Without it secrets are left out.
    """
    if isinstance(value, Secret):
        return {"Secret": value.text if names is not None else "not shown"}
    if names is not None and isinstance(value, Output | Source):
        return names[value]
    if is_dataclass(value) and not isinstance(value, type):
        shown = (f.name for f in fields(value) if names is None or f.name != LINE)
        return {type(value).__name__: {name: plain(getattr(value, name), names) for name in shown}}
    if isinstance(value, tuple | list):
        return [plain(item, names) for item in value]
    if isinstance(value, UUID | Path):
        return str(value)
    return value
