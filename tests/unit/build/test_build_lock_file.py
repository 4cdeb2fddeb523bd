"""A lock beside a description: read, held against it, and written beside other writers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import kiwilite
from kiwilite.build import lock_file
from kiwilite.build.digest import digest_file
from kiwilite.build.executor import Site
from kiwilite.build.lock_file import LockBroken, LockOutdated
from kiwilite.build.store import Store
from kiwilite.description.load import load
from kiwilite.description.model import Appliance
from kiwilite.plan.lock import Locked, LockedArchive, question, selection_name
from kiwilite.plan.selection import PackageFile, Place, Selection

X86 = Path(kiwilite.__file__).resolve().parent.parent / "descriptions/x86"
ARCHIVE = "kiwilite-bootstrap-trixie"


def package(name: str) -> PackageFile:
    place = Place("distro:debian", "trixie/main", None, f"pool/{name}.deb")
    return PackageFile(name, "1", "amd64", 1000, "0" * 64, 4096, place)


SELECTION = Selection(bootstrap=(package("apt"),), image=(package("kmod"),))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    store = Store(tmp_path / "store")
    for name in ("locks", "bootstrap", "entries"):
        (store.root / name).mkdir(parents=True)
    return Site(store, {})


@pytest.fixture
def described(tmp_path: Path) -> Callable[..., Appliance]:
    """The reference appliance in a folder of its own, with these profiles."""
    shutil.copytree(X86, tmp_path / "description", symlinks=True)

    def chosen(*profiles: str) -> Appliance:
        return load(tmp_path / "description", profiles, arch="x86_64")[0]

    return chosen


def locked(appliance: Appliance) -> Locked:
    return Locked(question(appliance), (), None, SELECTION, ())


def lock(appliance: Appliance, site: Site, what: Locked) -> Path:
    path = lock_file.lock_path(appliance)
    lock_file.put(path, selection_name(appliance), what, site)
    return path


def test_without_a_file_nothing_is_locked(described: Callable[..., Appliance]) -> None:
    assert lock_file.locked_for(described()) is None


def test_what_was_put_is_there_for_its_profiles(
    described: Callable[..., Appliance], site: Site
) -> None:
    one, other = described(), described("development")
    lock(one, site, locked(one))
    with pytest.raises(
        LockOutdated, match="nothing for `kiwilite-x86 x86_64 oem bootstrapped,development"
    ):
        lock_file.locked_for(other)
    lock(other, site, replace(locked(other), selection=Selection((), (package("strace"),))))
    assert lock_file.locked_for(one) == locked(one)
    found = lock_file.locked_for(other)
    assert found is not None and found.selection.image == (package("strace"),)


def test_all_differences_are_told_at_once_with_the_remedy(
    described: Callable[..., Appliance], site: Site
) -> None:
    appliance = described()
    asked = question(appliance)
    then = replace(asked, image=(*asked.image[1:], "zzz"))
    path = lock(appliance, site, replace(locked(appliance), question=then))
    with pytest.raises(LockOutdated) as caught:
        lock_file.locked_for(appliance)
    assert f"the package {asked.image[0]}, which is not in the lock" in caught.value.message
    assert "the package zzz, which the description asks for no more" in caught.value.message
    assert "--update-lock" in (caught.value.hint or "")
    assert str(path.parent / "appliance.kiwi") in (caught.value.where or "")


def test_a_damaged_lock_is_named_with_its_line(
    described: Callable[..., Appliance], site: Site
) -> None:
    appliance = described()
    path = lock(appliance, site, locked(appliance))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:4], "=======\n", *lines[4:]]))
    with pytest.raises(LockBroken) as caught:
        lock_file.locked_for(appliance)
    assert caught.value.where == f"{path}:5"
    with pytest.raises(LockBroken):
        lock(appliance, site, locked(appliance))
    assert "=======" in path.read_text()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"", b"{}"])
def test_what_is_no_lock_is_refused_by_name(
    described: Callable[..., Appliance], content: bytes
) -> None:
    path = lock_file.lock_path(described())
    path.write_bytes(content)
    with pytest.raises(LockBroken) as caught:
        lock_file.locked_for(described())
    assert caught.value.where is not None and caught.value.where.startswith(str(path))


def beside(appliance: Appliance, content: bytes) -> Path:
    path = appliance.directory / f"bootstrap/{ARCHIVE}.tar.zst"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_locked_archive_is_taken_and_another_one_refused(
    described: Callable[..., Appliance], site: Site
) -> None:
    appliance = described("bootstrapped")
    path = beside(appliance, b"the right one")
    archive = LockedArchive(ARCHIVE, digest_file(path), None)
    what = replace(locked(appliance), archive=archive)
    found = lock_file.known_archive(appliance, what, site)
    assert found is not None and found.path == path
    beside(appliance, b"another one")
    with pytest.raises(LockOutdated) as caught:
        lock_file.known_archive(appliance, what, site)
    assert archive.sha256 in caught.value.message
    assert digest_file(path) in caught.value.message


def test_a_locked_archive_that_is_not_here_says_where_to_put_it(
    described: Callable[..., Appliance], site: Site
) -> None:
    appliance = described("bootstrapped")
    what = replace(locked(appliance), archive=LockedArchive(ARCHIVE, "0" * 64, None))
    with pytest.raises(LockOutdated) as caught:
        lock_file.known_archive(appliance, what, site)
    assert f"bootstrap/{ARCHIVE}.tar.zst" in (caught.value.hint or "")


def test_an_archive_that_turned_up_where_packages_were_locked_is_refused(
    described: Callable[..., Appliance], site: Site
) -> None:
    appliance = described("bootstrapped")
    assert lock_file.known_archive(appliance, locked(appliance), site) is None
    beside(appliance, b"new")
    with pytest.raises(LockOutdated, match="the lock has packages instead of it"):
        lock_file.known_archive(appliance, locked(appliance), site)


def test_the_file_is_json_for_everybody(described: Callable[..., Appliance], site: Site) -> None:
    appliance = described()
    data = json.loads(lock(appliance, site, locked(appliance)).read_text())
    assert data["version"] == 1
    assert list(data["selections"]) == [selection_name(appliance)]
