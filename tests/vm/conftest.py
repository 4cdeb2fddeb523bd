"""Guests to boot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import reference_image
from initrd_guest import Appliance, Outcome, make_appliance
from reference_image import ReferenceImage
from tiny_guest import TinyGuest, cloud_kernel, make_initrd


@pytest.fixture(scope="session")
def tiny_guest(tmp_path_factory: pytest.TempPathFactory) -> TinyGuest:
    if shutil.which("apt-get") is None:
        pytest.skip("needs apt to fetch a kernel to boot")
    kernel = cloud_kernel()
    initrd = tmp_path_factory.mktemp("tiny") / "initrd"
    return TinyGuest(kernel, make_initrd(kernel, initrd))


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> ReferenceImage:
    """The reference image; most of it comes from the store after the first time."""
    return reference_image.build(tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="session")
def protocol(pytestconfig: pytest.Config) -> Path:
    """A file that gets a line for each power cut."""
    return pytestconfig.rootpath / "build" / "power-cuts.log"


@pytest.fixture(scope="session")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Appliance:
    """The appliance with a disk that was never booted."""
    for tool in ("mmdebstrap", "mksquashfs", "veritysetup", "cryptsetup", "sfdisk", "zstd"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs {tool}")
    return make_appliance(tmp_path_factory.mktemp("appliance"))


@pytest.fixture(scope="session")
def first_boot(
    factory: Appliance, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Appliance, Outcome]:
    """A disk after its first boot, in which a note was left, and what that boot showed."""
    appliance = factory.copy(tmp_path_factory.mktemp("provisioned"))
    return appliance, appliance.boot("note=kept")


@pytest.fixture
def fresh(factory: Appliance, tmp_path: Path) -> Appliance:
    return factory.copy(tmp_path)


@pytest.fixture
def used(first_boot: tuple[Appliance, Outcome], tmp_path: Path) -> Appliance:
    assert first_boot[1].reached_init, first_boot[1].text
    return first_boot[0].copy(tmp_path)
