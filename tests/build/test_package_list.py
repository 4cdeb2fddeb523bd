"""`image info --resolve-package-list` tells beforehand what a build installs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_appliance

from kiwilite.build.initrd_package import INITRD_PACKAGE

pytestmark = pytest.mark.build


def test_the_packages_told_are_the_packages_installed(tmp_path: Path) -> None:
    appliance = tiny_appliance.make(tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "kiwilite", "image", "info"),
            *("--description", str(appliance.folder), "--resolve-package-list"),
        ],
        env=appliance.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["resolved-packages"]
    built = appliance.build()
    assert built.status == 0, built.err
    (packages,) = appliance.target.glob("*.packages")
    rows = [row.split("|") for row in packages.read_text().splitlines()]
    installed = {(r[0], r[2], r[4]) for r in rows if r[0] != INITRD_PACKAGE}
    assert {(name, p["version"], p["arch"]) for name, p in told.items()} == installed
    assert told["xfsprogs"]["status"] == "listed_in_kiwi_description"
    assert told["libc6"]["status"] == "added_by_dependency_solver"
    assert told["libc6"]["source"].endswith("/main/binary-amd64")
    assert told["libc6"]["installsize_bytes"] > 5_000_000
