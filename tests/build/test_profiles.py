"""The profiles of the reference appliance: two ways to the same packages, and one with more."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_appliance import store_folder

from kiwilite.build import image
from kiwilite.build.configuration import Configuration
from kiwilite.build.executor import execute
from kiwilite.build.progress import Progress
from kiwilite.description.load import load

pytestmark = pytest.mark.build

DESCRIPTION = Path(__file__).parent.parent.parent / "descriptions/x86/appliance.kiwi"
STORE = store_folder()


def _tree(profile: str) -> Path:
    """Result of the customise step: the finished tree and its package list."""
    appliance, _ = load(DESCRIPTION, (profile,))
    site = image.site_for(appliance, Configuration(store=STORE))
    progress = Progress()
    _, keyed = image.planned(appliance, site, progress, refresh=False, tell=progress.tell)
    execute(keyed, ["customise"], site, progress)
    return keyed.output(site.store, "customise")


@pytest.fixture(scope="module")
def default() -> set[str]:
    return set((_tree("default") / "packages").read_text().splitlines())


@pytest.fixture(scope="module")
def bootstrapped() -> set[str]:
    return set((_tree("bootstrapped") / "packages").read_text().splitlines())


def test_default_and_bootstrapped_end_with_the_same_packages(
    default: set[str], bootstrapped: set[str]
) -> None:
    assert len(default) > 100
    assert default == bootstrapped


def test_development_adds_tools_and_a_shell_on_the_serial_line(bootstrapped: set[str]) -> None:
    tree = _tree("development")
    packages = set((tree / "packages").read_text().splitlines())
    assert bootstrapped < packages
    assert any(row.startswith("strace|") for row in packages)
    unit = "tree/etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf"
    assert "--autologin root" in (tree / unit).read_text()


def test_only_development_logs_in_by_itself() -> None:
    unit = "tree/etc/systemd/system/serial-getty@ttyS0.service.d"
    assert not (_tree("bootstrapped") / unit).exists()
