"""What a step that failed is to a person: the error it raised, or the end of its log."""

from __future__ import annotations

import shutil
from pathlib import Path

from kiwilite.build.failure import read
from kiwilite.build.inside import NO_SPACE_STATUS
from kiwilite.build.store import Store
from kiwilite.errors import KiwiliteError, NoSpace, StageFailed
from kiwilite.plan.nodes import Node


def no_space(node: Node, store: Store) -> NoSpace:
    """A step found the store's disk full."""
    return NoSpace(
        f"no space left in the store {store.root}",
        where=f"step {node.name}",
        hint="make room there, then build again: finished steps are kept",
    )


def step_failure(node: Node, folder: Path, status: int, store: Store) -> KiwiliteError:
    """Why a step's process ended with `status`; its log is kept."""
    if status == NO_SPACE_STATUS:
        return no_space(node, store)
    kept = store.root / "logs" / f"{node.name}.log"
    shutil.copyfile(folder / "log", kept)
    report = folder / "failure"
    if report.exists() and report.stat().st_size:
        return read(report, where=f"step {node.name}", hint=f"the whole log: {kept}")
    tail = "\n".join(kept.read_text(errors="replace").splitlines()[-15:])
    return StageFailed(
        f"the step ended with status {status} and did not say why:\n{tail}",
        where=f"step {node.name}",
        hint=f"the whole log: {kept}",
    )
