"""What identifies our own code that carries out a step: every module it may run, by its source."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from kiwilite.build.beside import entries_of
from kiwilite.build.kinds import Kind
from kiwilite.build.python import package

PLACES: Mapping[str, tuple[str, ...]] = {
    "host": ("kiwilite.build.starter", "kiwilite.build.inside"),
    "namespace": (
        "kiwilite.build.starter",
        "kiwilite.build.inside",
        "kiwilite.build.sandbox",
        "kiwilite.build.enter",
    ),
}
"""The modules that start a step, by the place where it runs: what it sees there is their doing."""


def code_of(kind: Kind) -> dict[str, str]:
    """SHA-256 of each module that runs in a step of `kind`, and of each data file it copies."""
    roots = (kind.module, *PLACES[kind.place])
    names = sorted({name for root in roots for name in imported_modules(root)})
    return {name: module_digest(name) for name in names} | dict(_data(kind.data))


@functools.cache
def _data(names: tuple[str, ...]) -> Mapping[str, str]:
    rows = {}
    for name in names:
        for entry in entries_of(package() / name):
            path = f"{name}/{entry.name}" if entry.name != "." else name
            rows[path] = f"{entry.mode:o} {entry.what}"
    return rows


@functools.cache
def imported_modules(module: str) -> frozenset[str]:
    """Names of our modules that `module` imports, itself included, followed to the end."""
    found: set[str] = set()
    pending = [module]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        pending += direct_imports(name)
    return frozenset(found)


@functools.cache
def module_digest(name: str) -> str:
    """SHA-256 of the source of one of our modules."""
    return hashlib.sha256(_source(name)).hexdigest()


@functools.cache
def _source(name: str) -> bytes:
    return Path(modules()[name]).read_bytes()


@functools.cache
def modules() -> Mapping[str, str]:
    """Name → file of all modules of this package.

    One walk is cheaper than asking for each, and a tenth of it with strings.
    """
    rows, top = {}, str(package())
    for folder, _, names in os.walk(top):
        parent = f"kiwilite{folder.removeprefix(top).replace(os.sep, '.')}"
        for name in names:
            inner, suffix = os.path.splitext(name)  # noqa: PTH122 (as said)
            if suffix == ".py":
                rows[parent if inner == "__init__" else f"{parent}.{inner}"] = f"{folder}/{name}"
    return rows


# Parsing with `ast` takes ten times as long, and this stands in the way of every build.
_IMPORT = re.compile(
    rb"^[ \t]*(?:from[ ]+(kiwilite[\w.]*)[ ]+import[ ]+(\([^)]*\)|[^\n]*)"
    rb"|import[ ]+(kiwilite[\w.]*))",
    re.MULTILINE,
)


@functools.cache
def direct_imports(name: str) -> tuple[str, ...]:
    """Names of our modules that stand in the import statements of one of them."""
    rows: list[str] = []
    for module, names, plain_module in _IMPORT.findall(_source(name)):
        base = (module or plain_module).decode()
        rows += [base, *(f"{base}.{word}" for word in re.findall(r"\w+", names.decode()))]
    return tuple(r for r in rows if r != "kiwilite" and r in modules())
