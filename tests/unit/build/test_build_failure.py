"""Whatever a step raises arrives at the executor as it was, whatever its constructor takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import kiwilite
from kiwilite.build.failure import read, write
from kiwilite.description.diagnostics import Diagnostic
from kiwilite.description.model import Span
from kiwilite.errors import KiwiliteError, StageFailed
from kiwilite.ondisk.luks2.header import BadLuksHeader, Copy


def error_classes() -> list[type[KiwiliteError]]:
    """All that this package has."""
    for module in pkgutil.walk_packages(kiwilite.__path__, "kiwilite."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found, pending = [], [KiwiliteError]
    while pending:
        kind = pending.pop()
        found.append(kind)
        pending += kind.__subclasses__()
    return sorted((k for k in found if k.__module__.startswith("kiwilite.")), key=str)


SAMPLES: dict[str, Any] = {
    "str": "some text",
    "Copy": Copy.SECONDARY,
    "Sequence[Diagnostic]": [Diagnostic(Span(Path("a.kiwi"), 3, 1), "error", "KL0042", "no")],
}
"""A value for each type that a constructor takes."""


def raised(kind: type[KiwiliteError]) -> KiwiliteError:
    """An error of that class, made as its constructor wants it, raised and caught."""
    parameters = inspect.signature(kind).parameters.values()
    values = [SAMPLES[str(p.annotation)] for p in parameters if p.default is p.empty]
    try:
        raise kind(*values)
    except KiwiliteError as error:
        return error


def carried(error: KiwiliteError, folder: Path) -> KiwiliteError:
    write(error, folder / "failure")
    return read(folder / "failure", where="step a", hint="look there")


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__qualname__)
def test_every_error_of_ours_arrives_with_all_it_knows(
    kind: type[KiwiliteError], tmp_path: Path
) -> None:
    error = raised(kind)
    before = {**vars(error), "where": "step a", "hint": "look there"}
    arrived = carried(error, tmp_path)
    assert type(arrived) is kind
    assert vars(arrived) == before
    assert arrived.args == error.args


def test_the_classes_with_constructors_of_their_own_are_among_them() -> None:
    own = {kind.__name__ for kind in error_classes() if "__init__" in vars(kind)}
    assert own >= {"BadGpt", "BadMbr", "BadGrub", "BadLuksHeader", "BadIntegritySuperblock"}


def test_an_error_that_names_its_place_keeps_it(tmp_path: Path) -> None:
    arrived = carried(StageFailed("no", where="here", hint="try"), tmp_path)
    assert str(arrived) == "here: no\n  hint: try"


def test_a_member_that_is_no_text_arrives_too(tmp_path: Path) -> None:
    arrived = carried(BadLuksHeader(Copy.SECONDARY, "magic", "is wrong"), tmp_path)
    assert isinstance(arrived, BadLuksHeader)
    assert (arrived.copy, arrived.field) == (Copy.SECONDARY, "magic")
