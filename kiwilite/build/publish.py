"""Puts results from the store into the target folder, each file whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kiwilite import __version__
from kiwilite.build.keys import digest_file
from kiwilite.build.store import Store
from kiwilite.ondisk.sparse import copy_sparse
from kiwilite.plan.nodes import Plan

RESULT = "kiwilite.result.json"
SUMS = "SHA256SUMS"


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _read(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        return data
    except (OSError, ValueError):
        return {}


def _record(target: Path, store: Store) -> Path:
    return store.published / hashlib.sha256(str(target.absolute()).encode()).hexdigest()


def is_up_to_date(target: Path, identity: Mapping[str, str], store: Store) -> bool:
    """Whether `target` holds the results of these keys, and nobody touched them since."""
    before = _read(_record(target, store))
    if before.get("keys") != dict(identity):
        return False
    return all(_stamp(target / name) == stamp for name, stamp in before["stamps"].items())


def remember(target: Path, identity: Mapping[str, str], names: Sequence[str], store: Store) -> None:
    """Note in the store what `publish` put into `target`."""
    stamps = {n: _stamp(target / n) for n in [*names, SUMS, RESULT]}
    _write(_record(target, store), json.dumps({"keys": dict(identity), "stamps": stamps}))


def publish(
    plan: Plan, sources: Mapping[str, Path], names: Mapping[str, str], target: Path
) -> None:
    """Copy each kind's file from the store to its name in `target`, with sums and a summary.

    Files appear whole or not at all, and the summary comes last. What an earlier build
    left there under other names is removed.
    """
    target.mkdir(parents=True, exist_ok=True)
    stale = set(_read(target / RESULT).get("files", {}).values()) - set(names.values())

    def put(kind: str) -> tuple[str, str]:
        final = target / names[kind]
        scratch = target / f".{names[kind]}.{os.getpid()}"
        try:
            with scratch.open("wb") as stream:
                stream.truncate(sources[kind].stat().st_size)
                copy_sparse(sources[kind], stream, 0)
            digest = digest_file(scratch)
            scratch.replace(final)
        finally:
            scratch.unlink(missing_ok=True)
        return names[kind], digest

    with ThreadPoolExecutor(max_workers=2) as pool:
        digests = dict(pool.map(put, names))
    _write(target / SUMS, "".join(f"{digests[n]}  {n}\n" for n in sorted(digests)))
    result = {
        "kiwilite": __version__,
        "image": plan.image,
        "version": plan.version,
        "architecture": plan.architecture,
        "profiles": list(plan.profiles),
        "files": dict(names),
        "sha256": digests,
    }
    _write(target / RESULT, json.dumps(result, indent=1, sort_keys=True) + "\n")
    for name in stale:
        (target / name).unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    scratch.write_text(text)
    scratch.replace(path)
