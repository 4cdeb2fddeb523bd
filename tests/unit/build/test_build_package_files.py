"""The cache of packages: what is in it is right, or it is not used; a real apt downloads."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kiwilite.build.digest import digest_file
from kiwilite.build.job import Job
from kiwilite.build.package_files import (
    NotAsSelected,
    NotInCache,
    PackageChanged,
    PackageGone,
    check_installed,
    fetched,
    repository,
)
from kiwilite.errors import SourceUnreachable
from kiwilite.ondisk.deb import write_deb
from kiwilite.plan.selection import PackageFile, Place

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt is not installed")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A folder that is served at `url`; `asked` names what was."""

    folder: Path
    url: str
    asked: list[str]

    def package(self, name: str, version: str = "1") -> PackageFile:
        """A package that the mirror has."""
        control = {
            "Package": name,
            "Version": version,
            "Architecture": "all",
            "Maintainer": "nobody <nobody@localhost>",
            "Description": "for a test",
        }
        path = self.folder / f"pool/{name}_{version}~x_all.deb"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(write_deb(control))
        place = Place(self.url, "trixie/main", None, f"pool/{path.name}")
        size, digest = path.stat().st_size, digest_file(path)
        return PackageFile(name, version, "all", size, digest, 0, place)

    def file(self, package: PackageFile) -> Path:
        return self.folder / package.where.path


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(folder))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            asked.append(self.path)
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Mirror(folder, f"http://127.0.0.1:{server.server_port}", asked)
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def job(tmp_path: Path) -> Job:
    for name in ("out", "scratch", "cache"):
        (tmp_path / name).mkdir()
    (tmp_path / "log").touch()
    return Job(
        "",
        tmp_path / "out",
        tmp_path / "scratch",
        tmp_path / "log",
        {},
        {},
        tmp_path / "cache",
        {},
    )


def left_behind(job: Job) -> list[str]:
    """What else than packages is in the cache's folders."""
    work = [p.name for p in (job.cache / "work").iterdir()]
    return work + [p.name for p in (job.cache / "debian").iterdir() if p.suffix != ".deb"]


def test_what_is_missing_is_downloaded_once(mirror: Mirror, job: Job) -> None:
    packages = [mirror.package("aa"), mirror.package("bb", "1:2.0+x")]
    paths = fetched(job, packages)
    assert [digest_file(paths[p.sha256]) for p in packages] == [p.sha256 for p in packages]
    asked = list(mirror.asked)
    assert fetched(job, packages) == paths
    assert mirror.asked == asked
    assert left_behind(job) == []


def test_apt_is_given_exactly_the_packages(mirror: Mirror, job: Job) -> None:
    packages = [mirror.package("aa"), mirror.package("bb")]
    fetched(job, [mirror.package("other")])
    with repository(job, packages) as folder:
        index = (folder / "Packages").read_text()
        assert len(list(folder.glob("*.deb"))) == 2
    assert [line for line in index.splitlines() if line.startswith("Package:")] == [
        "Package: aa",
        "Package: bb",
    ]
    assert all(f"SHA256: {p.sha256}\n" in index for p in packages)
    assert left_behind(job) == []


@pytest.mark.parametrize("damage", [b"", b"short"], ids=["empty", "cut"])
def test_a_damaged_plain_form_is_made_again(mirror: Mirror, job: Job, damage: bytes) -> None:
    packages = [mirror.package("aa")]
    with repository(job, packages) as folder:
        index = (folder / "Packages").read_text()
    (kept,) = (job.cache / "plain").iterdir()
    content = kept.read_bytes()
    kept.write_bytes(damage)
    with repository(job, packages) as folder:
        assert (folder / "Packages").read_text() == index
        assert next(folder.glob("*.deb")).read_bytes() == content
    assert kept.read_bytes() == content
    assert left_behind(job) == []


def test_a_package_that_only_dpkg_reads_is_given_as_it_is(mirror: Mirror, job: Job) -> None:
    package = mirror.package("aa")
    path = mirror.file(package)
    path.write_bytes(path.read_bytes().replace(b"data.tar        ", b"data.tar.zst    "))
    package = replace(package, sha256=digest_file(path))
    with repository(job, [package]) as folder:
        assert f"SHA256: {package.sha256}\n" in (folder / "Packages").read_text()
        assert next(folder.glob("*.deb")).read_bytes() == path.read_bytes()
    assert list((job.cache / "plain").iterdir()) == []
    assert left_behind(job) == []


@pytest.mark.parametrize("damage", [b"", b"short", None], ids=["empty", "cut", "flipped"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(
    mirror: Mirror, job: Job, damage: bytes | None
) -> None:
    package = mirror.package("aa")
    path = fetched(job, [package])[package.sha256]
    good = path.read_bytes()
    path.write_bytes(damage if damage is not None else bytes([good[0] ^ 1]) + good[1:])
    assert fetched(job, [package])[package.sha256].read_bytes() == good
    assert "damaged" in job.log.read_text()


def test_what_the_mirror_no_longer_has_is_named_and_the_rest_is_kept(
    mirror: Mirror, job: Job
) -> None:
    packages = [mirror.package("aa"), mirror.package("bb"), mirror.package("cc")]
    mirror.file(packages[0]).unlink()
    with pytest.raises(PackageGone, match="no longer has aa 1 "):
        fetched(job, packages)
    kept = {p.stem for p in (job.cache / "debian").glob("*.deb")}
    assert kept == {packages[1].sha256, packages[2].sha256}
    assert left_behind(job) == []


def test_other_bytes_under_the_same_version_are_told_with_both_digests(
    mirror: Mirror, job: Job
) -> None:
    package = mirror.package("aa")
    mirror.file(package).write_bytes(mirror.file(mirror.package("bb")).read_bytes())
    with pytest.raises(PackageChanged) as caught:
        fetched(job, [package])
    assert package.sha256 in caught.value.message
    assert digest_file(mirror.file(package)) in caught.value.message
    assert list((job.cache / "debian").iterdir()) == []


def test_a_mirror_nobody_answers_at_is_another_thing_than_a_package_that_is_gone(
    mirror: Mirror, job: Job
) -> None:
    package = mirror.package("aa")
    refused = replace(package, where=replace(package.where, repository="http://127.0.0.1:1"))
    with pytest.raises(SourceUnreachable, match=r"aa 1 \(all\) cannot be downloaded"):
        fetched(job, [refused])


def test_what_is_gone_is_taken_from_a_snapshot_mirror_that_has_it(mirror: Mirror, job: Job) -> None:
    package = mirror.package("aa")
    old = mirror.folder / "20260101T000000Z" / package.where.path
    old.parent.mkdir(parents=True)
    mirror.file(package).rename(old)
    place = replace(package.where, repository="distro:debian", seen="20260101T000000Z")
    package = replace(package, where=place)
    job = replace(job, mirrors={"debian": mirror.url})
    with pytest.raises(PackageGone):
        fetched(job, [package])
    job = replace(job, snapshots={"debian": f"{mirror.url}/{{snapshot}}/"})
    assert digest_file(fetched(job, [package])[package.sha256]) == package.sha256


def test_offline_what_is_missing_is_named_and_nobody_is_asked(mirror: Mirror, job: Job) -> None:
    packages = [mirror.package("aa"), mirror.package("bb"), mirror.package("cc")]
    fetched(job, packages[:1])
    asked = list(mirror.asked)
    with pytest.raises(NotInCache) as caught:
        fetched(replace(job, network="offline"), packages)
    assert "2 packages" in caught.value.message
    assert "bb 1 (all)" in caught.value.message and "cc 1 (all)" in caught.value.message
    assert "aa 1 (all)" not in caught.value.message
    assert mirror.asked == asked


def test_offline_what_is_there_serves(mirror: Mirror, job: Job) -> None:
    package = mirror.package("aa")
    paths = fetched(job, [package])
    mirror.file(package).unlink()
    assert fetched(replace(job, network="offline"), [package]) == paths


@pytest.mark.parametrize("scheme", ["file://", "dir:"])
def test_a_repository_on_this_host_needs_no_network(mirror: Mirror, job: Job, scheme: str) -> None:
    package = mirror.package("aa")
    place = replace(package.where, repository=f"{scheme}{mirror.folder}")
    found = fetched(replace(job, network="offline"), [replace(package, where=place)])
    assert digest_file(found[package.sha256]) == package.sha256
    assert mirror.asked == []


HOLD = """\
import pickle, sys
from kiwilite.build.package_files import fetched, repository
job, packages = pickle.load(open(sys.argv[1], "rb"))
if sys.argv[2] == "hold":
    with repository(job, packages):
        print("held", flush=True)
        sys.stdin.read()
else:
    fetched(job, packages)
"""


def other_process(job: Job, packages: list[PackageFile], what: str) -> subprocess.Popen[str]:
    """A build beside this one."""
    import pickle

    file = job.scratch / "order"
    file.write_bytes(pickle.dumps((job, packages)))
    return subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_four_builds_that_want_the_same_download_it_once(mirror: Mirror, job: Job) -> None:
    packages = [mirror.package(f"package{number}") for number in range(20)]
    builds = [other_process(job, packages, "fetch") for _ in range(4)]
    for build in builds:
        build.communicate(timeout=120)
    assert [b.returncode for b in builds] == [0] * 4
    assert sorted(mirror.asked) == sorted(set(mirror.asked))
    assert len(mirror.asked) == 20
    assert all(digest_file(p) == p.stem for p in (job.cache / "debian").iterdir())
    assert left_behind(job) == []


def test_packages_in_use_survive_tidying_and_those_of_a_killed_build_go(
    mirror: Mirror, job: Job
) -> None:
    package = mirror.package("aa")
    path = fetched(job, [package])[package.sha256]
    build = other_process(job, [package], "hold")
    assert build.stdout is not None
    assert build.stdout.readline() == "held\n"
    path.unlink()
    fetched(job, [package])
    (folder,) = (job.cache / "work").iterdir()
    assert digest_file(folder / path.name) == package.sha256
    build.kill()
    build.communicate(timeout=60)
    path.unlink()
    fetched(job, [package])
    assert left_behind(job) == []


STATUS = """\
Package: aa
Status: install ok installed
Version: 1

Package: removed
Status: deinstall ok config-files
Version: 1
"""


@pytest.mark.parametrize(("name", "version"), [("aa", "2"), ("removed", "1"), ("absent", "1")])
def test_a_package_that_was_not_installed_as_selected_is_named(
    tmp_path: Path, mirror: Mirror, name: str, version: str
) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(STATUS)
    check_installed(tmp_path, [mirror.package("aa")])
    with pytest.raises(NotAsSelected, match=f"{name} {version}"):
        check_installed(tmp_path, [mirror.package("aa"), mirror.package(name, version)])
