"""Where the bootstrap archive comes from, in order, and that a wrong one is refused."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import tiny_appliance
from disturbed import plan
from tiny_appliance import run_words, store_folder

from kiwilite.build import bootstrap_archive, image
from kiwilite.build.configuration import Configuration
from kiwilite.build.digest import digest_file
from kiwilite.build.places import NoSuchPackage
from kiwilite.build.progress import Progress
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.errors import KiwiliteError

pytestmark = pytest.mark.build

REPOSITORY = Path(__file__).parent.parent.parent
STORE = store_folder()
NAME = "kiwilite-bootstrap-trixie"


def _archive(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = path.with_suffix(".source")
    source.write_text(content)
    with tarfile.open(path, "w:xz") as archive:
        archive.add(source, "etc/marker")
    source.unlink()
    return path


def _package_repository(folder: Path) -> Path:
    """A repository with KIWI's bootstrap package: the archive is its payload."""
    tree = folder / "package"
    _archive(tree / f"var/lib/bootstrap/{NAME}.amd64.tar.xz", "from a package")
    (tree / "DEBIAN").mkdir()
    (tree / "DEBIAN/control").write_text(
        f"Package: {NAME}\nVersion: 1\nArchitecture: all\n"
        "Maintainer: Nobody <nobody@localhost>\nDescription: a bootstrap archive\n"
    )
    repository = folder / "repository"
    repository.mkdir()
    package = repository / f"{NAME}_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(tree), str(package)], check=True, capture_output=True)
    control = (tree / "DEBIAN/control").read_text()
    (repository / "Packages").write_text(
        f"{control}Filename: ./{package.name}\nSize: {package.stat().st_size}\n"
        f"SHA256: {digest_file(package)}\n"
    )
    return repository


def _description(folder: Path, change: dict[str, str]) -> Path:
    shutil.copytree(REPOSITORY / "descriptions/x86", folder, symlinks=True)
    text = (folder / "appliance.kiwi").read_text()
    for old, new in change.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "appliance.kiwi").write_text(text)
    return folder


def _locate(appliance: Appliance, store: Path) -> Path:
    site = image.site_for(appliance, Configuration(store=store))
    found = bootstrap_archive.find(appliance, site, Progress(), pin="1")
    assert found is not None
    return found.path


def _local_only(repository: Path) -> dict[str, str]:
    """Take packages from one folder of this host and from nowhere else."""
    return {
        '<repository type="apt-deb" alias="debian" distribution="trixie" components="main">\n'
        '        <source path="distro:debian"/>': '<repository type="apt-deb" alias="debian" '
        f'repository_gpgcheck="false">\n        <source path="file://{repository}"/>',
        '    <repository type="apt-deb" alias="debian-security" distribution="trixie-security"\n'
        '                components="main">\n        <source path="distro:debian-security"/>\n'
        "    </repository>\n": "",
    }


def test_the_archive_beside_the_description_comes_first(tmp_path: Path) -> None:
    folder = _description(tmp_path / "d", {})
    mine = _archive(folder / f"bootstrap/{NAME}.tar.xz", "beside the description")
    _archive(tmp_path / f"store/bootstrap/{NAME}.tar.xz", "in the store")
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    assert _locate(appliance, tmp_path / "store") == mine


def test_the_archive_in_the_store_comes_next(tmp_path: Path) -> None:
    folder = _description(tmp_path / "d", {})
    kept = _archive(tmp_path / f"store/bootstrap/{NAME}.tar.xz", "in the store")
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    assert _locate(appliance, tmp_path / "store") == kept


def test_the_package_of_that_name_brings_the_archive(tmp_path: Path) -> None:
    repository = _package_repository(tmp_path)
    folder = _description(tmp_path / "d", _local_only(repository))
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    found = _locate(appliance, tmp_path / "store")
    with tarfile.open(found) as archive:
        member = archive.extractfile("etc/marker")
        assert member is not None
        assert member.read() == b"from a package"


def test_a_wrong_digest_is_refused_at_its_line(tmp_path: Path) -> None:
    wrong = "0" * 64
    old = f'bootstrap_package="{NAME}"'
    folder = _description(tmp_path / "d", {old: f'{old} bootstrap_digest="sha256:{wrong}"'})
    mine = _archive(folder / f"bootstrap/{NAME}.tar.xz", "beside the description")
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    with pytest.raises(KiwiliteError) as caught:
        _locate(appliance, tmp_path / "store")
    assert digest_file(mine) in caught.value.message
    assert wrong in caught.value.message
    assert re.match(r".*/appliance\.kiwi:\d+:\d+$", caught.value.where or "")


def test_the_right_digest_is_accepted(tmp_path: Path) -> None:
    folder = _description(tmp_path / "d", {})
    mine = _archive(folder / f"bootstrap/{NAME}.tar.xz", "beside the description")
    old = f'bootstrap_package="{NAME}"'
    text = (folder / "appliance.kiwi").read_text()
    new = f'{old} bootstrap_digest="sha256:{digest_file(mine)}"'
    (folder / "appliance.kiwi").write_text(text.replace(old, new))
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    assert _locate(appliance, tmp_path / "store") == mine


def test_a_folder_of_packages_serves_as_a_repository(tmp_path: Path) -> None:
    repository = _package_repository(tmp_path)
    (repository / "Packages").unlink()
    change = {k: v.replace("file://", "dir:") for k, v in _local_only(repository).items()}
    folder = _description(tmp_path / "d", change)
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    assert _locate(appliance, tmp_path / "store").name == f"{NAME}.amd64.tar.xz"


def test_a_package_that_no_repository_has_is_named_at_its_line(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    folder = _description(tmp_path / "d", _local_only(repository))
    appliance, _ = load(folder / "appliance.kiwi", ("bootstrapped",))
    site = image.site_for(appliance, Configuration(store=tmp_path / "store"))
    with pytest.raises(NoSuchPackage) as caught:
        image.bootstrap(appliance, site, Progress(), refresh=False)
    assert "ca-certificates" in caught.value.message
    line = int((caught.value.where or "").split(":")[1])
    assert (
        'name="ca-certificates"' in (folder / "appliance.kiwi").read_text().splitlines()[line - 1]
    )


def test_one_made_on_purpose_is_a_tree_with_its_owners_and_says_its_digest(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kiwilite", "system", "bootstrap", "--profile", "bootstrapped"]
        + ["--description", str(REPOSITORY / "descriptions/x86"), "--target-dir", str(tmp_path)],
        env={**os.environ, "KIWILITE_STORE": str(STORE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    archive = tmp_path / f"{NAME}.tar.zst"
    assert f'bootstrap_digest="sha256:{digest_file(archive)}"' in done.stdout
    listing = subprocess.run(
        ["tar", "--list", "--verbose", "--numeric-owner", f"--file={archive}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert re.search(r"^-rw-r----- 0/42 .* \./etc/shadow$", listing, re.MULTILINE)
    assert "./var/lib/dpkg/status\n" in listing
    assert "ssh_host" not in listing


def test_an_image_from_an_archive_has_the_bytes_of_one_without(tmp_path: Path) -> None:
    tiny = tiny_appliance.make(tmp_path)
    bootstrap = '<packages type="bootstrap"'
    tiny.change(bootstrap, f'{bootstrap} bootstrap_package="{NAME}"')
    without = tiny.build()
    assert without.status == 0, without.err
    sums = (tiny.target / "SHA256SUMS").read_text()
    assert "minimal tree from packages" in titles(tiny)
    run_words(
        *(sys.executable, "-m", "kiwilite", "system", "bootstrap", "--description", tiny.folder),
        *("--target-dir", tiny.folder / "bootstrap"),
        environment=tiny.environment(),
    )
    assert "minimal tree from the bootstrap archive" in titles(tiny)
    shutil.rmtree(tiny.target)
    again = tiny.build()
    assert again.status == 0, again.err
    assert (tiny.target / "SHA256SUMS").read_text() == sums


def titles(appliance: tiny_appliance.Appliance) -> set[str]:
    """What the steps of the next build do."""
    return {row["title"] for row in plan(appliance)["steps"]}
