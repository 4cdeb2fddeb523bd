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
from kiwilite.build.digest import digest_file
from kiwilite.build.store import Store
from kiwilite.ondisk.sparse import copy_sparse
from kiwilite.plan.nodes import Plan

RESULT = "kiwilite.result.json"
SUMS = "SHA256SUMS"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
SCRATCH = ".kiwilite-"
"""Between the name of a file that is being written and the process that writes it."""


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
    """Whether `target` holds the results of these keys, and nobody touched them since.

    Told by a stat; once after each start of the host by the sums, since a power cut may have
    taken content that was on its way to the disk, and left size and time.
    """
    path = _record(target, store)
    before = _read(path)
    if before.get("keys") != dict(identity):
        return False
    if any(_stamp(target / name) != stamp for name, stamp in before["stamps"].items()):
        return False
    if before.get("boot") != _boot():
        sums = before.get("sha256", {})
        if not sums or any(digest_file(target / name) != sum_ for name, sum_ in sums.items()):
            return False
        write_whole(path, json.dumps({**before, "boot": _boot()}))
    return True


def remember(target: Path, identity: Mapping[str, str], names: Sequence[str], store: Store) -> None:
    """Note in the store what `publish` put into `target`."""
    record = {
        "target": str(target.absolute()),
        "keys": dict(identity),
        "stamps": {n: _stamp(target / n) for n in [*names, SUMS, RESULT]},
        "sha256": {
            **_read(target / RESULT)["sha256"],
            **{n: digest_file(target / n) for n in (SUMS, RESULT)},
        },
        "boot": _boot(),
    }
    write_whole(_record(target, store), json.dumps(record))


def _boot() -> str:
    """What the kernel calls the time since the host was started (random(4))."""
    return BOOT_ID.read_text().strip()


def is_obsolete(record: Path) -> bool:
    """Whether what `remember` noted is of a target folder that has no results any more."""
    target = _read(record).get("target")
    return target is None or not (Path(target) / RESULT).exists()


def publish(
    plan: Plan, sources: Mapping[str, Path], names: Mapping[str, str], target: Path
) -> None:
    """Copy each kind's file from the store to its name in `target`, with sums and a summary.

    Files get their names when all of them are written, and the summary comes last: where
    there is no room, what an earlier build left stays as it was. What it left under other
    names is removed.
    """
    target.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    stale = set(_read(target / RESULT).get("files", {}).values()) - set(names.values())
    scratch = {kind: _scratch(target / name) for kind, name in names.items()}

    def put(kind: str) -> tuple[str, str]:
        with scratch[kind].open("wb") as stream:
            stream.truncate(sources[kind].stat().st_size)
            copy_sparse(sources[kind], stream, 0)
        return names[kind], digest_file(scratch[kind])

    try:
        with ThreadPoolExecutor(max_workers=2) as pool:
            digests = dict(pool.map(put, names))
        for kind, name in names.items():
            scratch[kind].replace(target / name)
    finally:
        for path in scratch.values():
            path.unlink(missing_ok=True)
    write_whole(target / SUMS, "".join(f"{digests[n]}  {n}\n" for n in sorted(digests)))
    write_whole(target / RESULT, json.dumps(_summary(plan, names, digests), indent=1) + "\n")
    for name in stale:
        (target / name).unlink(missing_ok=True)


def _summary(plan: Plan, names: Mapping[str, str], digests: Mapping[str, str]) -> dict[str, Any]:
    return {
        "kiwilite": __version__,
        "image": plan.image,
        "version": plan.version,
        "architecture": plan.architecture,
        "profiles": list(plan.profiles),
        "files": dict(sorted(names.items())),
        "sha256": dict(sorted(digests.items())),
    }


def _scratch(path: Path) -> Path:
    """The name beside `path` under which it is written."""
    return path.with_name(f".{path.name}{SCRATCH}{os.getpid()}")


def _sweep(target: Path) -> None:
    """Remove what builds that were killed here had not finished."""
    for path in target.glob(f".*{SCRATCH}*"):
        if not Path(f"/proc/{path.name.rpartition(SCRATCH)[2]}").exists():
            path.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Give `path` a new text in one rename. Raises OSError."""
    scratch = _scratch(path)
    try:
        scratch.write_text(text)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
