"""Examines what steps read while they run: a result counts when its inputs were sound.

Of an entry that a step on the host reads, or that is published, the files directly in it
are summed here, in threads. A step in the namespace reads trees: these are summed by one
process there, whose `main` is at the end.
"""

from __future__ import annotations

import concurrent.futures as cf
import json
import tempfile
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.children import may_start
from kiwilite.build.manifest import Depth, damage
from kiwilite.build.sandbox import Bind, run_inside
from kiwilite.build.starter import Call, Starter
from kiwilite.errors import StageFailed

Damage = Mapping[Path, tuple[str, ...]]
"""What is wrong with each entry; empty where all are sound."""


class Damaged(Exception):
    """Entries are not as they were made; the executor makes them again, and nobody is told more."""

    def __init__(self, damage: Damage) -> None:
        super().__init__("results in the store are damaged")
        self.damage = damage


@dataclass(frozen=True, slots=True)
class Vetting:
    """Examinations that are under way, by entry."""

    _answers: Mapping[Path, cf.Future[Damage]]

    def demand_sound(self, entries: Iterable[Path]) -> None:
        """Wait for what is known of these entries. Raises Damaged."""
        answers = {e: self._answers[e].result() for e in entries if e in self._answers}
        bad = {e: found[e] for e, found in answers.items() if found[e]}
        if bad:
            raise Damaged(bad)

    def demand_all_sound(self) -> None:
        """Wait for all of them. Raises Damaged."""
        self.demand_sound(self._answers)


def begin_vetting(
    reads: Mapping[Path, Depth], pool: cf.Executor, starter: Starter, after: threading.Event
) -> Vetting:
    """Examine entries, each as deep as it is read, from the moment `after` is set."""

    def files(entry: Path) -> Damage:
        after.wait()
        return _files(entry)

    def trees(entries: Sequence[Path]) -> Damage:
        after.wait()
        return examine_inside(entries, starter)

    answers = {e: pool.submit(files, e) for e, depth in reads.items() if depth == "files"}
    if whole := [e for e, depth in reads.items() if depth == "whole"]:
        answers |= dict.fromkeys(whole, pool.submit(trees, whole))
    return Vetting(answers)


def demand_sound_files(entries: Iterable[Path]) -> None:
    """Examine the files directly in these entries. Raises Damaged."""
    with cf.ThreadPoolExecutor() as pool:
        Vetting({entry: pool.submit(_files, entry) for entry in entries}).demand_all_sound()


def _files(entry: Path) -> Damage:
    return {entry: damage(entry, "files")}


def examine_outside(entries: Sequence[Path]) -> Damage:
    """The damage of entries that were made on the host."""
    with cf.ThreadPoolExecutor() as pool:
        return dict(zip(entries, pool.map(lambda e: damage(e, "whole"), entries), strict=True))


def examine_inside(entries: Sequence[Path], starter: Starter) -> Damage:
    """The damage of entries that were made in the namespace. Raises StageFailed, Stopped."""
    binds = [Bind(str(folder)) for folder in {entry.parent for entry in entries}]
    task = Call("kiwilite.build.vetting", tuple(map(str, entries)))
    may_start()
    with tempfile.TemporaryFile() as log:
        done = run_inside(task, binds=binds, log=log, starter=starter)
        log.seek(0)
        said = log.read().decode(errors="replace")
    if done.status != 0:
        raise StageFailed(f"results in the store could not be examined:\n{said}")
    return {Path(name): tuple(found) for name, found in json.loads(said).items()}


def main(entries: Sequence[str], fds: Sequence[int]) -> int:
    """Inside: print the damage of each entry as JSON."""
    print(json.dumps({entry: damage(Path(entry), "whole") for entry in entries}))
    return 0
