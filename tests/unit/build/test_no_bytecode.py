"""The hook of dpkg that keeps Python from compiling modules while packages are set up."""

from __future__ import annotations

import os
import py_compile
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kiwilite.build.apt import HOOK_FILE


class Tree:
    """A tree with Python's compiler, and the hook as if the tree were `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.compiler = root / "usr/lib/python3.13/py_compile.py"
        self.command = root / "usr/bin/py3compile"
        self.compiler.parent.mkdir(parents=True)
        self.command.parent.mkdir()
        shutil.copy2(py_compile.__file__, self.compiler)
        self.command.write_text(f"#!/bin/sh\ntouch {root}/was-called\n")
        self.command.chmod(0o755)

    def hook(self, what: str, action: str | None = "configure") -> None:
        """Run it as dpkg does."""
        environment = {k: v for k, v in os.environ.items() if k != "DPKG_HOOK_ACTION"}
        if action is not None:
            environment["DPKG_HOOK_ACTION"] = action
        text = HOOK_FILE.read_text().replace("/usr/", f"{self.root}/usr/")
        subprocess.run(["sh", "-c", text, "hook", what], env=environment, check=True)

    def state(self) -> list[tuple[str, int, int, int]]:
        """Names of all files, with inode, time and mode."""
        found = [(str(p), p.lstat()) for p in sorted(self.root.rglob("*")) if p.is_file()]
        return [(name, s.st_ino, s.st_mtime_ns, s.st_mode) for name, s in found]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


@pytest.fixture
def module(tmp_path: Path) -> Path:
    path = tmp_path / "modules" / "module.py"
    path.parent.mkdir()
    path.write_text("answer = 42\n")
    return path


def compile_with(compiler: Path, *words: str, given: str = "") -> None:
    subprocess.run(
        [sys.executable, "-E", "-S", compiler, *words], input=given, text=True, check=True
    )


def compiled(module: Path) -> list[Path]:
    return sorted(module.parent.rglob("*.pyc"))


def test_without_it_the_module_is_compiled(tree: Tree, module: Path) -> None:
    compile_with(tree.compiler, str(module))
    assert compiled(module)


@pytest.mark.parametrize("action", ["configure", "triggers-only"])
def test_nothing_is_compiled_meanwhile(tree: Tree, module: Path, action: str) -> None:
    tree.hook("aside", action)
    compile_with(tree.compiler, str(module))
    compile_with(tree.compiler, "-", given=f"{module}\n")
    subprocess.run([tree.command, "-p", "python3-minimal"], check=True)
    assert compiled(module) == []
    assert not (tree.root / "was-called").exists()


def test_who_writes_many_names_finds_no_closed_pipe(tree: Tree, module: Path) -> None:
    tree.hook("aside")
    compile_with(tree.compiler, "-", given=f"{module}\n" * 100_000)


def test_compileall_runs_and_compiles_nothing(tree: Tree, module: Path) -> None:
    tree.hook("aside")
    program = (
        f"import sys; sys.path.insert(0, {str(tree.compiler.parent)!r})\n"
        f"import compileall; sys.exit(not compileall.compile_dir({str(module.parent)!r}))"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    assert compiled(module) == []


def test_afterwards_the_same_files_are_there(tree: Tree) -> None:
    before = tree.state()
    tree.hook("aside")
    assert tree.state() != before
    tree.hook("back")
    assert tree.state() == before


@pytest.mark.parametrize("action", ["unpack", "remove", None])
def test_it_is_for_setting_up_only(tree: Tree, action: str | None) -> None:
    before = tree.state()
    tree.hook("aside", action)
    assert tree.state() == before


def test_a_tree_without_python_stays_as_it_is(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    shutil.rmtree(tree.root / "usr")
    for what in ("aside", "back"):
        tree.hook(what)
    assert tree.state() == []
