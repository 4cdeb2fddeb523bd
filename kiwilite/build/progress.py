"""Tells a person what a build does: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kiwilite.plan.nodes import Node

if TYPE_CHECKING:
    from rich.status import Status


@dataclass(slots=True)
class Progress:
    """A watcher for the executor; writes to standard error."""

    steps: list[tuple[str, float]] = field(default_factory=list)
    _running: dict[str, str] = field(default_factory=dict)
    _status: Status | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def started(self, node: Node) -> None:
        """A step begins."""
        with self._lock:
            self._running[node.name] = node.title
            self._show()

    def written(self, node: Node, out: Path) -> None:
        """The files of a step are there, and not yet counted as its result."""

    def waiting(self, node: Node) -> None:
        """Another build makes the result of a step, and this one waits for it."""
        with self._lock:
            self._line(f"{node.name}: another build makes it; waiting")
            self._running[node.name] = f"waiting for {node.name}"
            self._show()

    def shared(self, node: Node) -> None:
        """A step has the result that another build made meanwhile."""
        with self._lock:
            self._running.pop(node.name, None)
            self._show()

    def finished(self, node: Node, seconds: float) -> None:
        """A step has its result."""
        with self._lock:
            self._running.pop(node.name, None)
            self.steps.append((node.name, seconds))
            self._line(f"  {seconds:7.1f} s  {node.name:<20} {node.title}")
            self._show()

    def damaged(self, node: Node, found: Sequence[str]) -> None:
        """A result in the store is not as it was made."""
        rest = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        self.tell(f"{node.name} was damaged in the store, it is made again: {found[0]}{rest}")

    def tell(self, text: str) -> None:
        """Something a person should know."""
        self._line(text)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show(self) -> None:
        if self._running and sys.stderr.isatty() and self._status is None:
            self._status = _status()
            self._status.start()
        if self._status is not None:
            self._status.update(", ".join(self._running.values()) or "…")

    def _line(self, text: str) -> None:
        if self._status is not None:
            self._status.console.print(text, highlight=False, markup=False)
        else:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()


def _status() -> Status:
    from rich.console import Console

    return Console(stderr=True).status("…", spinner="dots")
