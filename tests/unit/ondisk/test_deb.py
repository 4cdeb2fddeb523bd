"""The .deb writer and reader against dpkg-deb and apt."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest

from kiwilite.ondisk.deb import (
    BadDeb,
    UnknownCompression,
    read_control,
    write_deb,
    write_uncompressed,
)

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


def test_what_is_written_is_read() -> None:
    text = read_control(io.BytesIO(write_deb(CONTROL)))
    assert text == "".join(f"{name}: {value}\n" for name, value in CONTROL.items())


@pytest.mark.parametrize("compression", ["none", "gzip", "xz"])
def test_a_package_of_dpkg_s_is_read_as_dpkg_reads_it(tmp_path: Path, compression: str) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("".join(f"{n}: {v}\n" for n, v in CONTROL.items()))
    package = tmp_path / "package.deb"
    output("dpkg-deb", "--build", "--uniform-compression", f"-Z{compression}", tree, package)
    with package.open("rb") as stream:
        assert read_control(stream) == output("dpkg-deb", "--field", package)


@pytest.mark.parametrize("compression", ["none", "gzip", "xz"])
def test_uncompressed_it_has_the_same_members(tmp_path: Path, compression: str) -> None:
    tree = tmp_path / "tree"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN/control").write_text("".join(f"{n}: {v}\n" for n, v in CONTROL.items()))
    (tree / "DEBIAN/postinst").write_text("#!/bin/sh\n")
    (tree / "DEBIAN/postinst").chmod(0o755)
    (tree / "large").write_bytes(os.urandom(1 << 16) + bytes(3 << 20) + b"odd")
    package, plain = tmp_path / "package.deb", tmp_path / "plain.deb"
    output("dpkg-deb", "--build", "--uniform-compression", f"-Z{compression}", tree, package)
    with package.open("rb") as source, plain.open("wb") as target:
        write_uncompressed(source, target)
    for part in ("--fsys-tarfile", "--ctrl-tarfile"):
        words = ["dpkg-deb", part]
        before, after = (subprocess.check_output([*words, p]) for p in (package, plain))
        assert before == after
        assert before in plain.read_bytes()
    assert output("dpkg-deb", "--info", plain).count("new Debian package, version 2.0") == 1

    cut = package.read_bytes()[:-2000]
    with pytest.raises(BadDeb), plain.open("wb") as target:
        write_uncompressed(io.BytesIO(cut), target)


def test_a_compression_python_does_not_know_is_not_unpacked() -> None:
    package = write_deb(CONTROL).replace(b"data.tar        ", b"data.tar.zst    ")
    with pytest.raises(UnknownCompression):
        write_uncompressed(io.BytesIO(package), io.BytesIO())


def test_a_compression_python_does_not_know_is_told_apart() -> None:
    package = write_deb(CONTROL).replace(b"control.tar     ", b"control.tar.zst ")
    with pytest.raises(UnknownCompression):
        read_control(io.BytesIO(package))


@pytest.mark.parametrize("size", [0, 7, 8, 60, 75, 131, 140, 300, 700])
def test_a_package_cut_off_anywhere_is_refused(size: int) -> None:
    with pytest.raises(BadDeb):
        read_control(io.BytesIO(write_deb(CONTROL)[:size]))


def test_a_member_that_gives_no_size_is_refused() -> None:
    package = bytearray(write_deb(CONTROL))
    package[8 + 48 : 8 + 58] = b"nonsense  "
    with pytest.raises(BadDeb, match="broken header"):
        read_control(io.BytesIO(bytes(package)))
