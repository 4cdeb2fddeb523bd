"""What the last build of a description was made from, to tell later what has changed.

    builds/secret             32 random bytes, of this store alone
    builds/SUBJECT.json       by description, profiles and type: the steps, by name

Only for messages: whether a step has to run is decided by its key. Digests of files and
of secrets are keyed with `secret`, so that nobody who gets at a record without it can try
passphrases against it.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from kiwilite.build.executor import Keyed
from kiwilite.build.keys import Ingredients
from kiwilite.build.store import Store
from kiwilite.description.model import Appliance
from kiwilite.plan.references import LINE, Output, Secret, Source

DIGITS = 16
"""Hexadecimal digits of the digests here: enough to tell that two things differ."""

HIDDEN = ("password",)
"""Fields whose text is disguised, though it is no `Secret`: what is in /etc/shadow."""

Disguise = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What a step was made from. Made of JSON's types, and compared by `why`."""

    key: str
    kind: str
    parameters: Mapping[str, Any]
    """Its fields; a dataclass in them is {class: fields}."""
    inputs: Mapping[str, str]
    """Step → key."""
    files: Mapping[str, Mapping[str, str]]
    """Source → name in it ("." for itself) → mode and what it is."""
    code: Mapping[str, str]
    tools: Mapping[str, tuple[str, str]]
    """Tool → path, digest."""
    libraries: Mapping[str, str]


def records_of(keyed: Keyed, appliance: Appliance, store: Store) -> dict[str, StepRecord]:
    """The record of each step of a plan, by name."""
    disguise = _disguise(_secret(store))
    return {
        name: _record(made, keyed.keys[name], appliance.directory, disguise)
        for name, made in keyed.ingredients.items()
    }


def _record(made: Ingredients, key: str, directory: Path, disguise: Disguise) -> StepRecord:
    step = made.node.step
    described = _described(step, directory, disguise)
    kind = type(step).__name__
    return StepRecord(
        key=key,
        kind=kind,
        parameters=described[kind],
        inputs=dict(made.inputs),
        files={
            _beside(source.path, directory): {
                e.name: f"{e.mode:04o} {_disguised(e.what, disguise)}" for e in entries
            }
            for source, entries in made.sources.items()
        },
        code={name: digest[:DIGITS] for name, digest in made.code.items()},
        tools={name: (tool.path, tool.digest[:DIGITS]) for name, tool in made.tools.items()},
        libraries=dict(made.libraries),
    )


def _disguised(what: str, disguise: Disguise) -> str:
    kind, _, digest = what.partition(" ")
    return f"{kind} {disguise(digest)}" if kind == "file" else what


def _beside(path: Path, directory: Path) -> str:
    return str(path.relative_to(directory) if path.is_relative_to(directory) else path)


def _described(value: Any, directory: Path, disguise: Disguise) -> Any:
    """`value` as JSON data, without the lines that only messages show."""
    if isinstance(value, Secret):
        return {"Secret": disguise(value.text)}
    if isinstance(value, Output):
        return {"Output": value.step}
    if isinstance(value, Source):
        return {"Source": _beside(value.path, directory)}
    if is_dataclass(value) and not isinstance(value, type):
        rows = {
            f.name: _described(getattr(value, f.name), directory, disguise)
            for f in fields(value)
            if f.name != LINE
        }
        hidden = {n: {"Secret": disguise(rows[n])} for n in HIDDEN if isinstance(rows.get(n), str)}
        return {type(value).__name__: rows | hidden}
    if isinstance(value, tuple | list):
        return [_described(item, directory, disguise) for item in value]
    return str(value) if isinstance(value, UUID | Path) else value


def _disguise(secret: bytes) -> Disguise:
    def disguise(text: str) -> str:
        return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()[:DIGITS]

    return disguise


def _folder(store: Store) -> Path:
    return store.root / "builds"


def _secret(store: Store) -> bytes:
    path = _folder(store) / "secret"
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        scratch = _written(path, secrets.token_bytes(32))
        # Of two builds that start at once, the second takes the secret of the first.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(scratch)
        scratch.unlink()
    return path.read_bytes()


def _written(path: Path, content: bytes) -> Path:
    """A file beside `path`, for its owner alone."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.touch(mode=0o600)
    scratch.write_bytes(content)
    return scratch


def _path(appliance: Appliance, store: Store) -> Path:
    subject = [str(appliance.file.resolve()), appliance.profiles, appliance.type.image]
    return _folder(store) / f"{hashlib.sha256(json.dumps(subject).encode()).hexdigest()}.json"


def seems_changed(appliance: Appliance, store: Store) -> bool:
    """Whether the description, or a file directly beside it, is younger than its last build.

    A guess, for what can be made ready: it takes some microseconds, and the keys a while. False
    where no build is known: then there is a lot to do, and no hurry.
    """
    try:
        built = _path(appliance, store).stat().st_mtime_ns
        with os.scandir(appliance.directory) as beside:
            return any(entry.stat().st_mtime_ns > built for entry in beside)
    except OSError:
        return False


def last_build(appliance: Appliance, store: Store) -> dict[str, StepRecord] | None:
    """The steps of the last build, by name; None where none is known."""
    try:
        data = json.loads(_path(appliance, store).read_text())
        return {name: StepRecord(**row) for name, row in data["steps"].items()}
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remember_build(keyed: Keyed, appliance: Appliance, store: Store) -> None:
    """Note what this build was made from; where that is noted already, only that it is now."""
    path = _path(appliance, store)
    with contextlib.suppress(OSError):
        if path.read_bytes().startswith(_head(keyed)):
            os.utime(path)
            return
    with contextlib.suppress(OSError):  # the results are there, and the record is for messages
        records = records_of(keyed, appliance, store)
        steps = json.dumps({name: asdict(record) for name, record in records.items()})
        _written(path, _head(keyed) + f'"steps": {steps}}}\n'.encode()).replace(path)


def _head(keyed: Keyed) -> bytes:
    """The beginning of a record: JSON of its own once the steps follow."""
    keys = json.dumps([*keyed.keys.items()])
    return f'{{"keys": "{hashlib.sha256(keys.encode()).hexdigest()}", '.encode()
