"""The state of the repositories is part of the keys: another mirror, and other local packages."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from description_samples import minimal, write

from kiwilite.build.executor import Site
from kiwilite.build.selecting import pin_of
from kiwilite.build.store import Store
from kiwilite.description.load import load
from kiwilite.description.model import Appliance


@pytest.fixture
def site(tmp_path: Path) -> Site:
    store = Store(tmp_path / "store")
    store.create()
    return Site(store, {"debian": "http://one.invalid/debian"})


def from_source(folder: Path, path: str) -> Appliance:
    folder.mkdir(exist_ok=True)
    source = f'<repository distribution="trixie"><source path="{path}"/></repository>'
    appliance, _ = load(write(folder, minimal(top=source)), arch="x86_64")
    return appliance


def pin(appliance: Appliance, site: Site) -> str:
    """As a build in a new process has it."""
    return pin_of(appliance, site, renew=False)


def test_another_mirror_has_a_pin_of_its_own(tmp_path: Path, site: Site) -> None:
    appliance = from_source(tmp_path / "a", "distro:debian")
    pin(appliance, site)
    pin(appliance, site)
    assert len([*(site.store.root / "pins").iterdir()]) == 1
    pin(appliance, replace(site, mirrors={"debian": "http://snapshot.invalid/debian"}))
    assert len([*(site.store.root / "pins").iterdir()]) == 2


def test_where_a_description_stands_makes_no_pin(tmp_path: Path, site: Site) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text("key")
        source = 'http://a.invalid/debian"><signing key="file://key'
        text = f'<repository distribution="x"><source path="{source}"/></source></repository>'
        appliance, _ = load(write(tmp_path / name, minimal(top=text)), arch="x86_64")
        pin(appliance, site)
    assert len([*(site.store.root / "pins").iterdir()]) == 1


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("dists/trixie/main/binary-amd64/Packages.gz", "dists/trixie/Release"),
        ("Packages", "Packages.xz"),
        ("a.deb", "b.deb"),
    ],
)
def test_packages_of_this_host_count_by_content(
    tmp_path: Path, site: Site, name: str, more: str
) -> None:
    folder = tmp_path / "some [odd] packages"
    (folder / name).parent.mkdir(parents=True)
    (folder / name).write_text("one")
    appliance = from_source(tmp_path / "a", f"dir:{folder}")
    seen = [pin(appliance, site)]
    (folder / "README").write_text("not a package")
    assert pin(appliance, site) == seen[0]
    (folder / name).write_text("other")
    seen.append(pin(appliance, site))
    (folder / more).write_text("more")
    seen.append(pin(appliance, site))
    assert len(set(seen)) == 3
