"""The code, the libraries and the files of ours that a step runs with are all in its key."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from kiwilite.build import code
from kiwilite.build.host import library_version
from kiwilite.build.kinds import KINDS, Kind


def code_of(kind: Kind) -> dict[str, str]:
    """As a new process sees it."""
    for cached in (
        *(code.imported_modules, code.direct_imports, code.module_digest),
        *(code.modules, code._source, code._data),
    ):
        cached.cache_clear()
    return code.code_of(kind)


def test_our_own_code_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "kiwilite"
    (package / "build/stages").mkdir(parents=True)
    files = {
        "__init__": "",
        "build/__init__": "",
        "build/stages/__init__": "",
        "build/stages/one": "from kiwilite.build import helper\n",
        "build/helper": "import kiwilite.build.deep\n",
        "build/deep": "WORD = 1\n",
        "build/other": "WORD = 1\n",
        "build/inside": "",
        "build/starter": "",
    }
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    (package / "data").write_text("1")

    monkeypatch.setattr(code, "package", lambda: package)
    kind = Kind("kiwilite.build.stages.one", "host", data=("data",))
    try:
        seen = [code_of(kind)]
        (package / "build/other.py").write_text("WORD = 2\n")
        assert code_of(kind) == seen[0]
        for name, text in (
            ("build/deep.py", "WORD = 2\n"),
            ("build/inside.py", "#"),
            ("data", "2"),
        ):
            (package / name).write_text(text)
            seen.append(code_of(kind))
    finally:
        monkeypatch.undo()
        code_of(kind_with_data())
    changed = [{n for n in after if before.get(n) != after[n]} for before, after in pairwise(seen)]
    assert changed == [{"kiwilite.build.deep"}, {"kiwilite.build.inside"}, {"data"}]


def kind_with_data() -> Kind:
    return next(kind for kind in KINDS.values() if kind.data)


IDS = [kind.module.rpartition(".")[2] for kind in KINDS.values()]
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=IDS)


@each_kind
def test_the_code_of_a_stage_reaches_what_it_imports(kind: Kind) -> None:
    found = code.code_of(kind)
    assert {kind.module, "kiwilite.errors", "kiwilite.plan.references"} <= found.keys()
    assert not any(name.startswith("kiwilite.cli") for name in found)
    assert ("kiwilite.build.enter" in found) == (kind.place == "namespace")


def syntax(module: str) -> ast.Module:
    return ast.parse(Path(code.modules()[module]).read_text())


def imports(module: str) -> Iterator[str]:
    """Full names in the import statements of a module, as Python itself sees them."""
    for node in ast.walk(syntax(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@each_kind
def test_imports_are_found_as_python_finds_them(kind: Kind) -> None:
    for module in code.imported_modules(kind.module):
        ours = set(imports(module)) & code.modules().keys() - {"kiwilite"}
        assert set(code.direct_imports(module)) == ours, module


def test_a_package_s_own_file_runs_nothing() -> None:
    """`__init__.py` is run with every module below it, and is not among what is imported."""
    for module in {n for kind in KINDS.values() for n in code.imported_modules(kind.module)}:
        packages = [module.rsplit(".", count)[0] for count in range(1, module.count(".") + 1)]
        for package in packages:
            body = syntax(package).body
            assert all(isinstance(n, ast.Expr | ast.Assign) for n in body), package


DISTRIBUTIONS = {"parted": "pyparted"}
"""Distribution of a module, where it has another name."""


@each_kind
def test_every_library_a_stage_imports_is_in_its_key(kind: Kind) -> None:
    modules = code.imported_modules(kind.module)
    found = {name.split(".")[0] for module in modules for name in imports(module)}
    foreign = found - sys.stdlib_module_names - {"kiwilite"}
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} == set(kind.libraries)


@pytest.mark.parametrize("name", sorted({n for kind in KINDS.values() for n in kind.libraries}))
def test_a_library_has_the_version_python_says_it_has(name: str) -> None:
    assert library_version(name) == importlib.metadata.version(name)


OUR_FILES = {
    "kiwilite.build.stages.customise": "build/image_files",
    "kiwilite.build.scripts": "build/image_files/kconfig",
    "kiwilite.build.apt": "build/image_files/no-bytecode",
    "kiwilite.boot.initrd": "boot/initrd_files",
    "kiwilite.boot.dracut": "boot/dracut_module",
}
"""Modules that read files of the package."""


@each_kind
def test_every_file_of_ours_that_a_stage_reads_is_in_its_key(kind: Kind) -> None:
    for module in code.imported_modules(kind.module):
        words = {n.id for n in ast.walk(syntax(module)) if isinstance(n, ast.Name)}
        texts = {n.value for n in ast.walk(syntax(module)) if isinstance(n, ast.Constant)}
        plain = [str(t) for t in texts if "\n" not in str(t)]
        named = any(re.search(r"\b(image|initrd)_files\b", text) for text in plain)
        reads = "__file__" in words or named
        assert reads == (module in OUR_FILES), module
        if reads:
            assert any(OUR_FILES[module].startswith(folder) for folder in kind.data), module


def test_installing_packages_does_not_depend_on_the_code_that_makes_the_disk() -> None:
    found = code.imported_modules("kiwilite.build.stages.packages")
    assert "kiwilite.plan.tree_steps" in found
    assert not {"kiwilite.plan.image_steps", "kiwilite.plan.partitions"} & found
