"""Imports between the rooms go one way, and no file or function is too long to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import kiwilite

PACKAGE = Path(kiwilite.__file__).parent
ROOT = PACKAGE.parent

MAY_IMPORT = {
    "errors": set(),
    "parallel": {"errors"},
    "description": {"errors"},
    "ondisk": {"errors"},
    "vm": {"errors"},
    "trust": {"errors", "ondisk"},
    "boot": {"errors", "ondisk", "trust"},
    "plan": {"errors", "description"},
    "inspect": {"errors", "parallel", "ondisk", "trust"},
    "build": {"errors", "parallel", "description", "plan", "boot", "trust", "ondisk"},
    "cli": {"errors", "description", "plan", "build", "inspect", "vm"},
}
"""Which rooms a room may use, beside itself and the version in `kiwilite`."""

PROCESSES = {"subprocess", "multiprocessing", "pty"}
LONGEST_FILE = 400
LONGEST_FUNCTION = 50

Import = tuple[str, int]
"""Full name of what is imported, and the line."""


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    inner = path.relative_to(PACKAGE)
    return inner.parts[0] if len(inner.parts) > 1 else inner.stem


def imports(path: Path) -> Iterator[Import]:
    """Every import of a file, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import hides the room"
            assert node.module
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def room_imports(path: Path) -> Iterator[tuple[str, int]]:
    for name, line in imports(path):
        parts = name.split(".")
        if parts[0] == "kiwilite" and len(parts) > 1 and not parts[1].startswith("__"):
            yield parts[1], line


def test_every_room_is_known() -> None:
    rooms = {room_of(path) for path in sources()} - {"__init__", "__main__"}
    assert rooms <= MAY_IMPORT.keys()


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    allowed = MAY_IMPORT[room] | {room}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {used}"
        for path in sources()
        if room_of(path) == room
        for used, line in room_imports(path)
        if used not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_nothing_imports_the_command_line() -> None:
    assert all("cli" not in rooms for room, rooms in MAY_IMPORT.items() if room != "cli")


def test_the_rooms_may_not_import_in_a_circle() -> None:
    settled: set[str] = set()
    while len(settled) < len(MAY_IMPORT):
        free = {r for r, used in MAY_IMPORT.items() if r not in settled and used <= settled}
        assert free, f"a circle among {MAY_IMPORT.keys() - settled}"
        settled |= free


@pytest.mark.parametrize("room", ["description", "plan", "ondisk"])
def test_a_pure_room_starts_no_process(room: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources()
        if room_of(path) == room
        for name, line in imports(path)
        if name.split(".")[0] in PROCESSES
    ]
    assert not wrong, "\n".join(wrong)


MAY_RUN_TOOLS = {"tools.py", "source.py"}
"""Of `inspect`: the file systems' own tools and unpackers, and qemu-img for other formats."""


def test_an_image_is_judged_by_our_own_readers_but_for_file_systems() -> None:
    running = {
        path.name
        for path in sources()
        if room_of(path) == "inspect"
        for name, _ in imports(path)
        if name.split(".")[0] in PROCESSES
    }
    assert running == MAY_RUN_TOOLS


def test_virtual_machines_need_nothing_but_the_standard_library() -> None:
    import sys

    known = sys.stdlib_module_names | {"kiwilite"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources()
        if room_of(path) == "vm"
        for name, line in imports(path)
        if name.split(".")[0] not in known
    ]
    assert not wrong, "\n".join(wrong)


def code_files() -> list[Path]:
    folders = ("kiwilite", "tests", "benchmarks", "scripts")
    shell = [PACKAGE / "boot/initrd_files", PACKAGE / "build/image_files", ROOT / "scripts"]
    shell.append(PACKAGE / "boot/dracut_module")
    found = {p for folder in folders for p in (ROOT / folder).rglob("*.py")}
    found |= {p for folder in shell for p in folder.iterdir() if p.is_file()}
    return sorted(found)


def test_no_file_is_longer_than_a_person_reads() -> None:
    lengths = {p: len(p.read_text().splitlines()) for p in code_files()}
    # The boot hook is one file by design: an auditor reads what runs before the root in one go.
    del lengths[PACKAGE / "boot/initrd_files/kiwilite-root"]
    wrong = [f"{p.relative_to(ROOT)}: {n} lines" for p, n in lengths.items() if n > LONGEST_FILE]
    assert not wrong, "\n".join(wrong)


def test_no_function_is_longer_than_a_screen() -> None:
    wrong = []
    for path in (p for p in code_files() if p.suffix == ".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    wrong.append(f"{where}: {node.name} has {length} lines")
    assert not wrong, "\n".join(wrong)
