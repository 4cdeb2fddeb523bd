"""The plan room takes nothing from the disk, the clock, the network or chance."""

from __future__ import annotations

import ast
import builtins
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plan_samples import PROFILES, plan_of, x86

import kiwilite.plan

FOLDER = Path(kiwilite.plan.__file__).parent
ALLOWED = {
    *("__future__", "collections", "dataclasses", "typing", "uuid", "pathlib", "hashlib"),
    *("functools", "itertools", "math", "re", "unicodedata"),
    "kiwilite",
}
IMPURE_METHODS = {
    *("read_text", "read_bytes", "open", "exists", "is_file", "is_dir", "iterdir", "glob"),
    *("resolve", "stat", "write_text", "write_bytes", "absolute", "cwd", "home"),
}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    for path in sorted(FOLDER.rglob("*.py")):
        yield path, ast.parse(path.read_text())


def test_it_imports_nothing_that_reaches_outside() -> None:
    found = set()
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").split(".")[0])
    assert found <= ALLOWED


def test_it_asks_no_path_what_is_there() -> None:
    wrong = [
        f"{path.name}:{node.lineno} {node.func.attr}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in IMPURE_METHODS
    ]
    assert not wrong


def test_a_plan_is_made_with_the_world_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    appliances = [x86(*profiles) for profiles in PROFILES]
    plans = [plan_of(appliance) for appliance in appliances]

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the plan room reached outside")

    with monkeypatch.context() as off:
        for owner, names in (
            (builtins, ("open",)),
            (os, ("stat", "lstat", "open", "listdir", "scandir", "urandom", "getcwd")),
            (time, ("time", "monotonic", "time_ns")),
            (random, ("random",)),
            (socket, ("socket",)),
            (subprocess, ("Popen",)),
        ):
            for name in names:
                off.setattr(owner, name, refuse)
        again = [plan_of(appliance) for appliance in appliances]
    assert again == plans
