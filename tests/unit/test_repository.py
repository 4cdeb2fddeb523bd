"""What may not stand in the project: mirrors by name, places of one machine, unchecked shell."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest

from kiwilite.build.kinds import KINDS
from kiwilite.build.tools import DATA_FILES, PACKAGE_OF, TOOLS

ROOT = Path(__file__).resolve().parents[2]

# The patterns are put together from parts, so that this file does not hold them itself.
DOT = r"\."
PACKAGE_HOSTS = [
    rf"\b(?:[a-z0-9-]+{DOT})*{name}{DOT}{ending}\b"
    for name, ending in (
        ("debian", "(?:org|net)"),
        ("ubuntu", "com"),
        ("canonical", "com"),
        ("pypi", "(?:org|io)"),
        ("python" + "hosted", "org"),
        ("open" + "suse", "org"),
        ("fedora" + "project", "org"),
        ("arch" + "linux", "org"),
        ("docker", "(?:io|com)"),
        ("quay", "io"),
        ("ghcr", "io"),
        ("npm" + "js", "(?:org|com)"),
    )
]
MACHINE_PATHS = [
    rf"(?<![\w.]){re.escape('/' + first)}/{rest}"
    for first, rest in (
        ("work", r"(?:main|shared)"),
        ("home", r"(?!(?:admin|operator|somebody)\b)[a-z]+/"),
        ("root", r"\."),
    )
]


def files() -> list[Path]:
    """What belongs to the project: all that version control keeps or would take in."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("this is not a checkout")
    found = (ROOT / name for name in done.stdout.split("\0") if name)
    return sorted(path for path in found if path.is_file())


def places_of(pattern: str) -> list[str]:
    expression = re.compile(pattern)
    rows = []
    for path in files():
        try:
            lines = path.read_text().splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, 1):
            if expression.search(line):
                rows.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    return rows


@pytest.mark.parametrize("pattern", PACKAGE_HOSTS)
def test_no_package_mirror_is_named(pattern: str) -> None:
    assert not places_of(pattern), "\n".join(places_of(pattern))


def test_the_mirror_patterns_find_mirrors() -> None:
    mirror = ".".join(("deb", "debian", "org"))
    assert any(re.search(pattern, f"http://{mirror}/debian") for pattern in PACKAGE_HOSTS)


@pytest.mark.parametrize("pattern", MACHINE_PATHS)
def test_no_path_of_one_machine_is_named(pattern: str) -> None:
    assert not places_of(pattern), "\n".join(places_of(pattern))


def test_every_file_is_text_that_someone_can_review() -> None:
    binary = [str(p.relative_to(ROOT)) for p in files() if b"\0" in p.read_bytes()]
    assert not binary


def shell_files() -> list[str]:
    command = [ROOT / "scripts" / "shell-files"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_every_shell_file_passes_shellcheck() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        ["shellcheck", *shell_files()], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_the_list_of_shell_files_has_those_the_image_runs() -> None:
    listed = set(shell_files())
    folders = (
        "kiwilite/boot/initrd_files",
        "kiwilite/boot/dracut_module",
        "kiwilite/build/image_files",
    )
    wanted = {str(p.relative_to(ROOT)) for f in folders for p in (ROOT / f).iterdir()}
    wanted |= {str(p.relative_to(ROOT)) for p in (ROOT / "descriptions").glob("*/*.sh")}
    assert {".ci/run", "scripts/setup", *wanted} <= listed


def test_set_up_brings_every_package_that_doctor_asks_for() -> None:
    words = (ROOT / "scripts" / "setup").read_text().split('needed="')[1].split('"')[0].split()
    part_of_every_debian = {"apt", "coreutils", "dpkg", "perl-base", "tar"}
    wanted = {t.package for t in TOOLS} | {item.package for item in DATA_FILES} | {"ovmf"}
    assert wanted - part_of_every_debian <= set(words)


def test_doctor_knows_every_tool_whose_bytes_decide_a_result() -> None:
    used = {tool for kind in KINDS.values() for tool in kind.tools}
    assert used <= PACKAGE_OF.keys()


def test_doctor_names_every_library_that_is_required() -> None:
    from kiwilite.build.doctor import LIBRARIES

    configuration = ConfigParser()
    configuration.read(ROOT / "setup.cfg")
    rows = configuration["options"]["install_requires"].split()
    required = {re.split(r"[<>=!~]", row)[0].lower() for row in rows}
    assert required == {name.lower() for name in LIBRARIES}


def test_every_marker_of_the_make_targets_is_declared() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    declared = settings["tool"]["pytest"]["ini_options"]["markers"]
    assert {row.split(":")[0] for row in declared} >= {"build", "vm", "soak"}


def test_the_store_that_make_trims_is_that_of_the_tests() -> None:
    import tiny_appliance

    done = subprocess.run(
        ["make", "--dry-run", "trim-test-store"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    command = next(line for line in done.stdout.splitlines() if line.startswith("kiwilite"))
    assert command.split()[1:5] == ["store", "gc", "--store", str(tiny_appliance.store_folder())]
