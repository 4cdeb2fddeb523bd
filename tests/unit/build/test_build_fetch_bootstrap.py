"""KIWI's bootstrap package, fetched by the real apt from a folder of packages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from kiwilite.build.job import Job
from kiwilite.build.stages import fetch_bootstrap, find_bootstrap
from kiwilite.ondisk.deb import write_deb
from kiwilite.plan.selection import package_of
from kiwilite.plan.tree_steps import AptSource, FetchBootstrap, FindBootstrap

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")


def fetched(folder: Path, name: str) -> list[tuple[str, bytes]]:
    """Names and contents of what a fetch of package `name` gives."""
    repository = folder / "repository"
    repository.mkdir()
    control = {
        "Package": "base",
        "Version": "1",
        "Architecture": "all",
        "Maintainer": "nobody <nobody@localhost>",
        "Description": "for a test",
    }
    files = {"/var/lib/bootstrap/base.amd64.tar.xz": b"a tree"}
    (repository / "base.deb").write_bytes(write_deb(control, files))
    for part in ("out", "scratch"):
        (folder / part).mkdir()
    job = Job("", folder / "out", folder / "scratch", folder / "log", {}, {}, folder, {})
    source = AptSource(f"file:{repository}", "./", (), trusted=True)
    find_bootstrap.run(FindBootstrap(name, (source,), "amd64", pin=""), job)
    found = job.out / "package.json"
    if found.exists():
        package = package_of(json.loads(found.read_text()))
        found.unlink()
        fetch_bootstrap.run(FetchBootstrap(package), job)
    return [(p.name, p.read_bytes()) for p in job.out.iterdir()]


def test_the_archive_in_the_package_is_the_result(tmp_path: Path) -> None:
    assert fetched(tmp_path, "base") == [("base.amd64.tar.xz", b"a tree")]


def test_a_package_that_nobody_has_gives_nothing(tmp_path: Path) -> None:
    assert fetched(tmp_path, "bas") == []
