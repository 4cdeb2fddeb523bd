"""kiwilite works when it is installed from a wheel, away from its checkout."""

from __future__ import annotations

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kiwilite

ROOT = Path(kiwilite.__file__).resolve().parent.parent
SOURCES = ("kiwilite", "schema", "descriptions", "completions", "editors", "man")
FILES = ("setup.cfg", "setup.py", "pyproject.toml", "README.md", "LICENSE")

pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment with the wheel in it."""
    base = tmp_path_factory.mktemp("installed")
    source = base / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
    for name in FILES:
        shutil.copy2(ROOT / name, source / name)
    pip("wheel", "--no-deps", "--wheel-dir", base / "wheels", source)
    # Libraries come from the environment the tests run in: they are not what is tested.
    run(sys.executable, "-m", "venv", "--system-site-packages", base / "venv")
    site = next((base / "venv").glob("lib/python*/site-packages"))
    libraries = next(p for p in sys.path if p.endswith("site-packages"))
    (site / "libraries.pth").write_text(f"{libraries}\n")
    wheel = next((base / "wheels").glob("*.whl"))
    run(base / "venv/bin/python", "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    return base / "venv"


def pip(*words: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", *words)


def run(*command: str | Path, cwd: Path | None = None) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("KIWILITE_DESC")}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(prefix: Path, tmp_path: Path, *arguments: str) -> str:
    return run(prefix / "bin" / arguments[0], *arguments[1:], cwd=tmp_path)


def test_the_installed_package_is_the_one_that_runs(prefix: Path, tmp_path: Path) -> None:
    found = run(
        prefix / "bin/python", "-c", "import kiwilite; print(kiwilite.__file__)", cwd=tmp_path
    )
    assert found.startswith(str(prefix))


def test_it_tells_its_version(prefix: Path, tmp_path: Path) -> None:
    assert kiwilite.__version__ in installed(prefix, tmp_path, "kiwilite", "--version")


def test_it_plans_the_installed_description_by_name(prefix: Path, tmp_path: Path) -> None:
    said = installed(
        prefix,
        tmp_path,
        "kiwilite",
        "system",
        "plan",
        "--description=x86",
        "--profile=bootstrapped",
    )
    assert "p.lxreadonly" in said


def test_run_x86_is_a_command(prefix: Path, tmp_path: Path) -> None:
    assert "--snapshot" in installed(prefix, tmp_path, "run_x86", "--help")


@pytest.mark.parametrize(
    ("folder", "place"),
    [
        ("descriptions", "share/kiwilite/descriptions"),
        ("schema", "share/kiwilite/schema"),
        ("editors/emacs", "share/kiwilite/editors/emacs"),
        ("editors/intellij", "share/kiwilite/editors/intellij"),
        ("editors/vim", "share/kiwilite/editors/vim"),
        ("editors/vscode", "share/kiwilite/editors/vscode"),
        ("editors/xml", "share/xml/kiwilite"),
        ("completions/bash", "share/bash-completion/completions"),
        ("completions/zsh", "share/zsh/site-functions"),
        ("completions/fish", "share/fish/vendor_completions.d"),
        ("kiwilite", "lib/python*/site-packages/kiwilite"),
    ],
)
def test_every_file_is_installed_with_its_content(prefix: Path, folder: str, place: str) -> None:
    target, source = next(prefix.glob(place)), prefix.parent / "source" / folder
    wanted = [p.relative_to(source) for p in source.rglob("*") if p.is_file()]
    assert wanted
    missing = [str(p) for p in wanted if not (target / p).is_file()]
    assert not missing
    assert filecmp.cmpfiles(source, target, map(str, wanted), shallow=False)[1:] == ([], [])


@pytest.mark.parametrize("section", ["1", "5"])
def test_manual_pages_are_installed_by_their_section(prefix: Path, section: str) -> None:
    pages = {p.name for p in (prefix.parent / "source/man").glob(f"*.{section}")}
    assert pages
    assert {p.name for p in (prefix / f"share/man/man{section}").iterdir()} == pages


def test_a_description_begun_by_the_installed_program_fits_the_installed_schema(
    prefix: Path, tmp_path: Path
) -> None:
    installed(prefix, tmp_path, "kiwilite", "description", "init", "kiosk")
    catalog = {"XML_CATALOG_FILES": str(prefix / "share/xml/kiwilite/catalog.xml")}
    schema = "urn:kiwilite:schema:kiwilite.rng"
    subprocess.run(
        ["xmllint", "--noout", "--nonet", "--relaxng", schema, tmp_path / "kiosk/appliance.kiwi"],
        env={**os.environ, **catalog},
        check=True,
    )


def test_what_is_executable_stays_executable(prefix: Path) -> None:
    """Scripts run as their first line says only when they are; overlay files keep their mode."""
    here, there = prefix.parent / "source/descriptions", prefix / "share/kiwilite/descriptions"
    files = [p.relative_to(here) for p in here.rglob("*") if p.is_file()]
    assert any(os.access(here / p, os.X_OK) for p in files)
    changed = [
        str(p)
        for p in files
        if bool((here / p).stat().st_mode & 0o111) != bool((there / p).stat().st_mode & 0o111)
    ]
    assert not changed
