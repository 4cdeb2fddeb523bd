"""An overlay volume from our own writer on the disk of a small guest."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest
from initrd_guest import MIB, OVERLAY, VOLUME_ID, Appliance

from kiwilite.build.luks_volume import Fill, VolumeIdentity, geometry_for, write_volume
from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.luks2.kdf import Pbkdf2


def made_with_the_image(appliance: Appliance, directory: Path, fill: Fill) -> Appliance:
    """The overlay's volume from our own writer: xts with hmac, 4096 bytes."""
    if shutil.which("mkfs.xfs") is None:
        pytest.skip("needs mkfs.xfs")
    chosen = encryption("aes-xts-plain64", "hmac-sha256", 4096)
    size = OVERLAY[1]
    filesystem, image = directory / "filesystem", directory / "volume"
    with filesystem.open("wb") as file:
        file.truncate(geometry_for(size, chosen, "written").provided_bytes)
    features = ["-i", "nrext64=0", "-m", "bigtime=0,inobtcount=0"]
    subprocess.run(
        ["mkfs.xfs", "-q", "-f", *features, "-s", "size=4096", filesystem], check=True
    )  # fmt: skip
    write_volume(
        image, size, filesystem, chosen, [("main", appliance.key, Pbkdf2("sha256", 1000))],
        VolumeIdentity(uuid4(), VOLUME_ID), fill=fill, journal="written",
    )  # fmt: skip
    appliance.write(OVERLAY[0], bytes(64 * 1024))  # the mark that awaits a first boot
    subprocess.run(
        ["dd", f"if={image}", f"of={appliance.disk}", "bs=1M", f"seek={OVERLAY[0] // MIB}",
         "conv=notrunc,sparse", "status=none"],
        check=True,
    )  # fmt: skip
    options = (
        ("--cipher", "aes-xts-plain64"), ("--key-size", "512"), ("--integrity", "hmac-sha256"),
        ("--sector-size", "4096"), ("--pbkdf", "pbkdf2"), ("--pbkdf-force-iterations", "1000"),
    )  # fmt: skip
    return appliance.with_policy(format_options=options)
