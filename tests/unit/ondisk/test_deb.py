"""The .deb writer against dpkg-deb and apt."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kiwilite.ondisk.deb import BadDeb, write_deb

CONTROL = {
    "Package": "initramfs-not-needed",
    "Version": "1:2.0-1",
    "Architecture": "all",
    "Maintainer": "Nobody <nobody@example.org>",
    "Provides": "linux-initramfs-tool",
    "Description": "stands in for an initramfs generator\n The image has its own.",
}


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package.deb"
    files = {"/etc/odd.conf": b"odd", "usr/share/doc/x/copyright": b"text\n"}
    path.write_bytes(write_deb(CONTROL, files, mtime=1_700_000_000))
    return path


def test_dpkg_deb_shows_the_control_fields(package: Path) -> None:
    for field, value in CONTROL.items():
        assert output("dpkg-deb", "-f", package, field).rstrip("\n") == value
    assert "new Debian package, version 2.0" in output("dpkg-deb", "-I", package)


def test_dpkg_deb_lists_and_extracts_the_files(package: Path, tmp_path: Path) -> None:
    listed = [
        (line.split()[0], line.split()[1], line.split()[-1])
        for line in output("dpkg-deb", "-c", package).splitlines()
    ]
    assert [name for _, _, name in listed if not name.endswith("/")] == [
        "./etc/odd.conf",
        "./usr/share/doc/x/copyright",
    ]
    assert {(mode, owner) for mode, owner, _ in listed} == {
        ("drwxr-xr-x", "root/root"),
        ("-rw-r--r--", "root/root"),
    }
    output("dpkg-deb", "-x", package, tmp_path / "out")
    assert (tmp_path / "out/etc/odd.conf").read_bytes() == b"odd"
    assert (tmp_path / "out/etc/odd.conf").stat().st_mtime == 1_700_000_000


def test_apt_takes_the_package_as_a_provider(package: Path) -> None:
    assert "Provides: linux-initramfs-tool" in output("apt-cache", "show", package)


def test_dpkg_installs_it_into_an_empty_root(tmp_path: Path) -> None:
    package = tmp_path / "package.deb"
    package.write_bytes(write_deb(CONTROL))
    admin = tmp_path / "root/var/lib/dpkg"
    for directory in ("info", "updates", "triggers"):
        (admin / directory).mkdir(parents=True)
    for file in ("status", "available"):
        (admin / file).touch()
    options = ("--force-not-root", "--force-script-chrootless", "--log=/dev/null")
    output("dpkg", f"--root={tmp_path / 'root'}", *options, "-i", package)
    assert "Status: install ok installed" in (admin / "status").read_text()


def test_an_empty_package_is_possible_and_always_the_same() -> None:
    assert write_deb(CONTROL) == write_deb(dict(CONTROL), {})


@pytest.mark.parametrize(
    "change",
    [
        {"Package": ""},
        {"Package": "Upper"},
        {"Version": ""},
        {"Description": "a\nnot indented"},
        {"Description": "a\n \n"},
        {"Bad Field": "x"},
        {"Depends": "a\0b"},
    ],
)
def test_fields_that_dpkg_would_refuse_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(BadDeb):
        write_deb(CONTROL | change)


@pytest.mark.parametrize(
    "files",
    [{"": b""}, {"../x": b""}, {"a/./b": b""}, {"a": b"", "/a": b""}, {"a": b"", "a/b": b""}],
)
def test_paths_that_make_no_tree_are_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(BadDeb):
        write_deb(CONTROL, files)
