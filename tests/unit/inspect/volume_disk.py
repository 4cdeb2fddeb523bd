"""A disk whose last partition is an encrypted volume with an XFS in it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import synthetic_disk
from synthetic_disk import MIB
from unclean_xfs import not_unmounted

from kiwilite.build.luks_volume import Fill, VolumeIdentity, geometry_for, write_volume
from kiwilite.ondisk.encryption import encryption
from kiwilite.ondisk.integrity import Geometry
from kiwilite.ondisk.luks2.kdf import Pbkdf2

TOOLS = ("mkfs.xfs", "mke2fs", "xfs_repair", "cryptsetup")
SIZE = 340 * MIB
START = 10 * MIB
CIPHERS = {
    "xts": encryption("aes-xts-plain64", "hmac-sha256", 4096),
    "gcm": encryption("aes-gcm-random", "aead", 4096),
    "gcm-512": encryption("aes-gcm-random", "aead", 512),
    "aegis": encryption("aegis128-random", "aead", 4096),
}
KEYS = [("", b"first", Pbkdf2("sha256", 1000)), ("recovery", b"second\n", Pbkdf2("sha256", 1000))]


def made(folder: Path, kind: str, fill: Fill, *, dirty: bool = False) -> tuple[Path, Geometry]:
    """A disk whose last partition is such a volume, with an XFS in it; `dirty`: not unmounted."""
    chosen = CIPHERS[kind]
    geometry = geometry_for(SIZE, chosen, "written")
    plain, image = folder / "plain", folder / "volume"
    with plain.open("wb") as out:
        out.truncate(geometry.provided_bytes)
    sector = f"size={chosen.sector_size}"
    command = ["mkfs.xfs", "-q", "-f", "--unsupported", "-l", "size=16m", "-s", sector, str(plain)]
    subprocess.run(command, check=True, capture_output=True)
    if dirty:
        not_unmounted(plain)
    identity = VolumeIdentity(UUID(int=1), UUID(int=2))
    write_volume(image, SIZE, plain, chosen, KEYS, identity, fill=fill, journal="written")
    disk = synthetic_disk.make(folder / "disk", size=SIZE + 11 * MIB, last=b"")
    with disk.open("r+b") as out, image.open("rb") as volume:
        out.seek(START)
        shutil.copyfileobj(volume, out, MIB)
    return disk, geometry
