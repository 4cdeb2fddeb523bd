"""Which packages an image gets, asked of the real apt about a small repository."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from kiwilite.build.job import Job
from kiwilite.build.stages.resolve_packages import Origin, parse_policy, run, stanzas
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
) -> dict[str, dict[str, Any]]:
    """Rows of the result by name."""
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
    rows = json.loads((work.out / "packages.json").read_text())
    assert [r["name"] for r in rows] == sorted(r["name"] for r in rows)
    return {row["name"]: row for row in rows}


ALWAYS = {"apt", "base", "libbase"}


def test_what_is_essential_and_what_is_depended_on_comes_along(
    tmp_path: Path, repository: Path
) -> None:
    rows = resolved(tmp_path / "job", repository, "kernel")
    assert rows.keys() == ALWAYS | {"kernel"}
    assert rows["libbase"]["version"] == "1:2.0-1"
    assert rows["kernel"] == {
        "name": "kernel",
        "version": "1",
        "architecture": "all",
        "installed_bytes": 7 * 1024,
        "source": f"file:{repository}",
        "list": "",
    }


def test_recommended_packages_come_where_the_description_wants_them(
    tmp_path: Path, repository: Path
) -> None:
    assert "manual" not in resolved(tmp_path / "without", repository, "shell")
    assert "manual" in resolved(tmp_path / "with", repository, "shell", recommends=True)
    bootstrap = resolved(tmp_path / "first", repository, bootstrap=("shell",), recommends=True)
    assert bootstrap.keys() == ALWAYS | {"shell"}


def test_an_alternative_that_is_there_already_is_taken(tmp_path: Path, repository: Path) -> None:
    rows = resolved(tmp_path / "job", repository, "tool", bootstrap=("other",))
    assert rows.keys() == ALWAYS | {"other", "tool"}


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
    rows = resolved(tmp_path / "job", repository, "tool", archive=archive)
    assert rows.keys() == {"other", "tool"}
    assert (rows["other"]["version"], rows["other"]["source"]) == ("9", None)
    assert rows["other"]["installed_bytes"] == 3 * 1024


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
