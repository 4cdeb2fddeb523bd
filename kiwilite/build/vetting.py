"""Examines what steps read while they run: a result counts when its inputs were sound.

Of an entry that a step on the host reads, or that is published, the files directly in it
are summed here, in threads. A step in the namespace reads trees: these are summed by one
process there, whose `main` is at the end.
"""

from __future__ import annotations

import concurrent.futures as cf
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.children import may_start
from kiwilite.build.job import BASE_ENVIRONMENT
from kiwilite.build.manifest import Depth, damage
from kiwilite.build.python import import_path, python_command
from kiwilite.build.sandbox import Bind, run_inside
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


def begin_vetting(reads: Mapping[Path, Depth], pool: cf.Executor) -> Vetting:
    """Start to examine entries, each as deep as it is read."""
    answers = {e: pool.submit(_files, e) for e, depth in reads.items() if depth == "files"}
    if trees := [e for e, depth in reads.items() if depth == "whole"]:
        answers |= dict.fromkeys(trees, pool.submit(examine_inside, trees))
    return Vetting(answers)


def _files(entry: Path) -> Damage:
    return {entry: damage(entry, "files")}


def examine_outside(entries: Sequence[Path]) -> Damage:
    """The damage of entries that were made on the host."""
    with cf.ThreadPoolExecutor() as pool:
        return dict(zip(entries, pool.map(lambda e: damage(e, "whole"), entries), strict=True))


def examine_inside(entries: Sequence[Path]) -> Damage:
    """The damage of entries that were made in the namespace. Raises StageFailed, Stopped."""
    binds = [Bind(str(folder)) for folder in {entry.parent for entry in entries}]
    command = python_command("kiwilite.build.vetting", *map(str, entries))
    environment = {**BASE_ENVIRONMENT, "PYTHONPATH": import_path()}
    may_start()
    with tempfile.TemporaryFile() as log:
        done = run_inside(command, binds=binds, environment=environment, log=log)
        log.seek(0)
        said = log.read().decode(errors="replace")
    if done.status != 0:
        raise StageFailed(f"results in the store could not be examined:\n{said}")
    return {Path(name): tuple(found) for name, found in json.loads(said).items()}


def main(entries: Sequence[str]) -> None:
    """Inside: print the damage of each entry as JSON."""
    print(json.dumps({entry: damage(Path(entry), "whole") for entry in entries}))


if __name__ == "__main__":
    main(sys.argv[1:])
