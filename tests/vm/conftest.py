"""Guests to boot."""

from __future__ import annotations

import shutil

import pytest
import reference_image
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
