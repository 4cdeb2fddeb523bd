"""`kiwilite-overlay list`, which images carry, on layers made by hand."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from importlib import resources
from pathlib import Path

import pytest

SCRIPT = Path(str(resources.files("kiwilite.build") / "image_files" / "kiwilite-overlay"))
FILES = ("etc/hosts", "etc/passwd", "usr/bin/tool", "opt/vendor/one", "opt/vendor/two", "bin/same")


@pytest.fixture
def layers(tmp_path: Path) -> Path:
    """A verified tree, an upper layer that says nothing yet, and what is seen of both."""
    if os.getuid() != 0:
        pytest.skip("needs root, as the tool does")
    for name in FILES:
        for layer in ("verity", "seen"):
            path = tmp_path / layer / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("verified")
    (tmp_path / "overlay/upper").mkdir(parents=True)
    return tmp_path


def upper(layers: Path, name: str, layer: str = "overlay") -> Path:
    path = layers / layer / "upper" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")
    return path


def remove(layers: Path, name: str) -> None:
    path = layers / "overlay/upper" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("no device nodes here")
    (layers / "seen" / name).unlink()


def listed(layers: Path, *options: str) -> str:
    text = SCRIPT.read_text()
    text = text.replace("ROOT=/run/kiwilite", f"ROOT={layers}").replace(
        "SEEN= ", f"SEEN={layers}/seen "
    )
    ran = subprocess.run(
        ["sh", "-c", text, "kiwilite-overlay", "list", *options],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def findings(layers: Path, *options: str) -> set[tuple[str, str]]:
    rows = json.loads(listed(layers, "--json", *options))
    return {(row["kind"], row["path"]) for row in rows}


def test_an_overlay_that_changes_nothing_has_no_findings(layers: Path) -> None:
    assert findings(layers) == set()
    assert listed(layers) == ""


def test_a_file_in_the_place_of_a_verified_one_is_changed(layers: Path) -> None:
    upper(layers, "etc/hosts")
    upper(layers, "etc/new")
    assert listed(layers) == "changed  /etc/hosts\n"


def test_a_file_that_is_not_in_the_image_is_listed_on_request(layers: Path) -> None:
    upper(layers, "etc/.hidden")
    assert findings(layers) == set()
    assert findings(layers, "--added") == {("added", "/etc/.hidden")}


def test_a_whiteout_of_a_verified_file_is_removed(layers: Path) -> None:
    remove(layers, "usr/bin/tool")
    assert findings(layers) == {("removed", "/usr/bin/tool")}


def test_a_folder_that_hides_what_the_image_has_there_is_opaque(layers: Path) -> None:
    upper(layers, "opt/vendor/three")
    for name in ("one", "two"):
        (layers / "seen/opt/vendor" / name).unlink()
    assert findings(layers) == {("opaque", "/opt/vendor")}


def test_a_folder_with_another_mode_is_changed(layers: Path) -> None:
    (layers / "overlay/upper/etc").mkdir(mode=0o700)
    assert findings(layers) == {("changed", "/etc")}


def test_what_a_layer_in_memory_shadows_is_listed_too(layers: Path) -> None:
    upper(layers, "etc/hosts")
    upper(layers, "opt/vendor/one", "memory")
    assert findings(layers) == {("changed", "/etc/hosts"), ("changed", "/opt/vendor/one")}


def test_a_layer_in_memory_alone_is_a_writable_overlay(layers: Path) -> None:
    (layers / "overlay/upper").rmdir()
    upper(layers, "opt/vendor/one", "memory")
    assert findings(layers) == {("changed", "/opt/vendor/one")}


def test_a_link_in_the_place_of_a_folder_is_changed_and_not_followed(layers: Path) -> None:
    (layers / "overlay/upper/opt").symlink_to("/etc")
    assert findings(layers) == {("changed", "/opt")}


@pytest.mark.parametrize("name", ['quo"te', "back\\slash", "line\nfeed", "tab\tand \x01", "sp ace"])
def test_any_name_survives_as_json(layers: Path, name: str) -> None:
    for layer in ("verity", "overlay/upper"):
        (layers / layer / name).write_text("")
    assert findings(layers) == {("changed", f"/{name}")}
    assert len(listed(layers).splitlines()) == 1


def test_shellcheck_has_nothing_to_say() -> None:
    try:
        ran = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs shellcheck")
    assert ran.returncode == 0, ran.stdout
