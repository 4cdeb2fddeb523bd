"""Which packages an image gets, asked of the real apt about a small repository."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kiwilite.build.control import control_of, stanzas
from kiwilite.build.digest import digest_file
from kiwilite.build.job import Job
from kiwilite.build.stages.resolve_packages import Origin, parse_policy, run
from kiwilite.errors import StageFailed
from kiwilite.ondisk.deb import write_deb
from kiwilite.plan.references import Source
from kiwilite.plan.tree_steps import AptSource, ResolvePackages

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")

PACKAGES = (
    {"Package": "apt"},
    {"Package": "base", "Essential": "yes", "Depends": "libbase"},
    {"Package": "libbase", "Version": "1:2.0-1"},
    {"Package": "shell", "Recommends": "manual"},
    {"Package": "manual"},
    {"Package": "kernel", "Depends": "linux-initramfs-tool | heavy", "Installed-Size": "7"},
    {"Package": "heavy"},
    {"Package": "tool", "Depends": "one | other"},
    {"Package": "one"},
    {"Package": "other"},
    {"Package": "rival", "Conflicts": "other"},
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    for fields in PACKAGES:
        control = {
            "Version": "1",
            "Architecture": "all",
            "Maintainer": "nobody <nobody@localhost>",
            "Description": "for a test",
            **fields,
        }
        (folder / f"{fields['Package']}.deb").write_bytes(write_deb(control))
    return folder


def index(folder: Path) -> None:
    """Make a folder of packages a repository with a Release file."""
    rows = [
        f"{control_of(job(folder / p.stem), p).strip()}\nFilename: ./{p.name}\n"
        f"Size: {p.stat().st_size}\nSHA256: {digest_file(p)}\n"
        for p in sorted(folder.glob("*.deb"))
    ]
    (folder / "Packages").write_text("\n".join(rows))
    digest, size = digest_file(folder / "Packages"), (folder / "Packages").stat().st_size
    date = "Date: Thu, 01 Jan 2026 00:00:00 UTC"
    (folder / "Release").write_text(f"{date}\nSHA256:\n {digest} {size} Packages\n")


def job(folder: Path, *sources: Path) -> Job:
    """A job as the executor gives one, in this process and not in the namespace."""
    for name in ("out", "scratch"):
        (folder / name).mkdir(parents=True)
    return Job(
        title="",
        out=folder / "out",
        scratch=folder / "scratch",
        log=folder / "log",
        outputs={},
        sources={str(s): s for s in sources},
        cache=folder,
        mirrors={},
    )


def resolved(
    folder: Path,
    repository: Path,
    *packages: str,
    bootstrap: tuple[str, ...] = (),
    recommends: bool = False,
    archive: Path | None = None,
) -> dict[str, Any]:
    """The result."""
    source = AptSource(f"file:{repository}", "./", (), trusted=True)
    step = ResolvePackages(
        sources=(source,),
        archive=None if archive is None else Source(archive),
        bootstrap=bootstrap,
        packages=packages,
        recommends=recommends,
        architecture="amd64",
        pin="",
    )
    work = job(folder, *([archive] if archive else []))
    run(step, work)
    result: dict[str, Any] = json.loads((work.out / "packages.json").read_text())
    for part in ("archived", "bootstrap", "image"):
        names = [row["name"] for row in result[part]]
        assert names == sorted(names)
    return result


def together(result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows by name, whoever brings the package."""
    return {row["name"]: row for part in ("archived", "bootstrap", "image") for row in result[part]}


ALWAYS = {"apt", "base", "libbase"}


def test_what_is_essential_and_what_is_depended_on_comes_along(
    tmp_path: Path, repository: Path
) -> None:
    result = resolved(tmp_path / "job", repository, "kernel")
    assert {row["name"] for row in result["bootstrap"]} == ALWAYS
    assert together(result)["libbase"]["version"] == "1:2.0-1"
    package = repository / "kernel.deb"
    assert result["image"] == [
        {
            "name": "kernel",
            "version": "1",
            "architecture": "all",
            "size": package.stat().st_size,
            "sha256": digest_file(package),
            "installed_bytes": 7 * 1024,
            "repository": f"file:{repository}",
            "suite": "./",
            "file": "./kernel.deb",
        }
    ]


def test_a_package_that_conflicts_with_another_takes_its_place(
    tmp_path: Path, repository: Path
) -> None:
    result = resolved(tmp_path / "job", repository, "rival", bootstrap=("other",))
    assert "other" in {row["name"] for row in result["bootstrap"]}
    assert {row["name"] for row in result["image"]} == {"rival"}


def test_a_folder_of_packages_has_no_release_and_one_with_has_its_date(
    tmp_path: Path, repository: Path
) -> None:
    (state,) = resolved(tmp_path / "one", repository, "kernel")["repositories"]
    assert (state["date"], state["release_sha256"]) == (None, None)
    index(repository)
    (state,) = resolved(tmp_path / "two", repository, "kernel")["repositories"]
    assert state["date"] == "Thu, 01 Jan 2026 00:00:00 UTC"
    assert state["release_sha256"] == digest_file(repository / "Release")


def test_recommended_packages_come_where_the_description_wants_them(
    tmp_path: Path, repository: Path
) -> None:
    assert "manual" not in together(resolved(tmp_path / "without", repository, "shell"))
    assert "manual" in together(resolved(tmp_path / "with", repository, "shell", recommends=True))
    bootstrap = resolved(tmp_path / "first", repository, bootstrap=("shell",), recommends=True)
    assert together(bootstrap).keys() == ALWAYS | {"shell"}


def test_an_alternative_that_is_there_already_is_taken(tmp_path: Path, repository: Path) -> None:
    rows = resolved(tmp_path / "job", repository, "tool", bootstrap=("other",))
    assert together(rows).keys() == ALWAYS | {"other", "tool"}


def test_packages_of_a_bootstrap_archive_are_there_already(
    tmp_path: Path, repository: Path
) -> None:
    status = b"""\
Package: other
Status: install ok installed
Version: 9
Architecture: amd64
Installed-Size: 3

Package: gone
Status: deinstall ok config-files
Version: 1
Architecture: amd64
"""
    archive = tmp_path / "bootstrap.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo("./var/lib/dpkg/status")
        member.size = len(status)
        tar.addfile(member, io.BytesIO(status))
    result = resolved(tmp_path / "job", repository, "tool", archive=archive)
    assert result["archived"] == [
        {"name": "other", "version": "9", "architecture": "amd64", "installed_bytes": 3 * 1024}
    ]
    assert [row["name"] for row in result["image"]] == ["tool"]


def test_a_package_nobody_has_is_named(tmp_path: Path, repository: Path) -> None:
    with pytest.raises(StageFailed, match="Unable to locate package nonesuch"):
        resolved(tmp_path / "job", repository, "nonesuch")


def test_each_version_is_from_the_list_that_has_it() -> None:
    text = """\
openssl:
  Installed: (none)
  Candidate: 3.5.4-1~deb13u1
  Version table:
     3.5.4-1~deb13u1 500
        500 http://example.org/debian-security trixie-security/main amd64 Packages
     3.5.1-1 500
        500 http://example.org/debian trixie/main amd64 Packages
zlib1g:
  Installed: 1:1.3
  Candidate: 1:1.3
  Version table:
 *** 1:1.3 990
        990 file:/srv/packages ./ Packages
        100 /tmp/status
"""
    found = parse_policy(text)
    security = Origin("http://example.org/debian-security", "trixie-security/main")
    assert found["openssl", "3.5.4-1~deb13u1"] == security
    assert found["openssl", "3.5.1-1"] == Origin("http://example.org/debian", "trixie/main")
    assert found["zlib1g", "1:1.3"] == Origin("file:/srv/packages", "./")


def test_a_paragraph_that_is_no_package_is_left_out() -> None:
    text = "N: a remark\n\nPackage: a\nVersion: 1\n\n\nPackage: b\n more\n"
    assert list(stanzas(text)) == ["a", "b"]
