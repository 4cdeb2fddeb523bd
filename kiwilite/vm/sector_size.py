"""The sector size an image was made for, told by where its partition table stands."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from kiwilite.vm.process import require
from kiwilite.vm.spec import SectorSize, detect_format

_GPT_MAGIC: Final = b"EFI PART"
_SIZES: Final[tuple[SectorSize, ...]] = (512, 4096)
_HEAD_BYTES: Final = 8192
"""Up to the end of the second sector, whichever the size."""


def detect_sector_size(image: Path) -> SectorSize:
    """The size of the sectors, in bytes, whose second one has the GPT header; else 512.

    Raises HostError where the image cannot be read, or is a qcow2 and qemu-img is missing.
    Source: UEFI Specification 2.10, 5.3.2: the header stands in LBA 1.
    """
    head = _qcow2_head(image) if detect_format(image) == "qcow2" else _raw_head(image)
    return next((n for n in _SIZES if head[n : n + len(_GPT_MAGIC)] == _GPT_MAGIC), 512)


def _raw_head(image: Path) -> bytes:
    with image.open("rb") as stream:
        return stream.read(_HEAD_BYTES)


def _qcow2_head(image: Path) -> bytes:
    """The disk's first bytes; none of a broken file, of which QEMU tells more."""
    qemu_img = require("qemu-img", "qemu-utils")
    with tempfile.TemporaryDirectory(prefix="kiwilite-head-") as folder:
        head = Path(folder) / "head"
        # -U: the image may be a running machine's.
        command = [str(qemu_img), "dd", "-U", "-f", "qcow2", "-O", "raw", f"bs={_HEAD_BYTES}"]
        done = subprocess.run(
            [*command, "count=1", f"if={image.absolute()}", f"of={head}"],
            capture_output=True,
            check=False,
        )
        return head.read_bytes() if done.returncode == 0 else b""
