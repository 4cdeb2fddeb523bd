"""Builds of steps that do as they are told."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from fake_stage import FakeStep

from kiwilite.build import keys
from kiwilite.build.executor import Keyed, Site
from kiwilite.build.kinds import KINDS, Kind
from kiwilite.build.store import Store
from kiwilite.plan import steps as s
from kiwilite.plan.nodes import Node


class Recorder:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.ended: list[str] = []
        self.waited: list[str] = []
        self.from_others: list[str] = []
        self.complaints: dict[str, Sequence[str]] = {}

    def started(self, node: Node) -> None:
        self.begun.append(node.name)

    def written(self, node: Node, out: Path) -> None:
        assert list(out.iterdir())

    def finished(self, node: Node, seconds: float) -> None:
        assert seconds >= 0
        self.ended.append(node.name)

    def waiting(self, node: Node) -> None:
        self.waited.append(node.name)

    def shared(self, node: Node) -> None:
        self.from_others.append(node.name)

    def damaged(self, node: Node, found: Sequence[str]) -> None:
        self.complaints[node.name] = found


def site_of_fakes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An empty store, and steps that run on the host."""
    monkeypatch.setitem(cast(Any, KINDS), FakeStep, Kind("fake_stage", "host"))
    monkeypatch.setattr(keys, "code_of", lambda kind: {kind.module: ""})
    store = Store(tmp_path / "store")
    store.create()
    return Site(store, {})


def node(diary: Path, name: str, does: str = "write", *reads: str) -> Node:
    """A step that reads others; `diary` says how often it ran."""
    fake = FakeStep(name, does, tuple(s.Output(r) for r in reads), diary)
    return Node(name, f"makes {name}", cast(s.Step, fake))


def runs(diary: Path, name: str) -> int:
    """How often the step called `name` ran."""
    return len(list(diary.glob(f"{name}.*")))


def result(keyed: Keyed, site: Site, name: str) -> str:
    """What the step called `name` made."""
    return (keyed.output(site.store, name) / "result").read_text()
