"""The overlay's encrypted volume, made at build time.

Its volume key is random, so this partition is another one in every build. It is the same
on all devices that are flashed from one image: whoever reads the key on one device can
read, and write, the overlays of all. The first boot can make one key for each device.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, cast

from kiwilite.build.geometry import partition_size
from kiwilite.build.job import Job
from kiwilite.build.luks_volume import MIB, VolumeIdentity, geometry_for, write_volume
from kiwilite.build.passphrase import passphrase_bytes
from kiwilite.build.stages.filesystem import fixed_clock, xfs_features
from kiwilite.errors import KiwiliteError
from kiwilite.ondisk.encryption import Encryption, encryption
from kiwilite.ondisk.integrity import TooSmallForIntegrity
from kiwilite.ondisk.luks2.kdf import Argon2, Kdf, Pbkdf2
from kiwilite.ondisk.sectors import sector_cipher
from kiwilite.plan.image_steps import LuksVolume, VolumeKey
from kiwilite.plan.partitions import DoesNotFit, human_size

XFS_MINIMUM = 300 * MIB
"""mkfs.xfs makes nothing smaller."""
SPARSE_LOG = 16 * MIB
"""The log is written in full, so a sparse volume has the smallest that all mkfs.xfs accept."""


def run(step: LuksVolume, job: Job) -> None:
    """Fill `image`. DoesNotFit where the partition has no room for a file system."""
    chosen = _encryption(step)
    size = partition_size(job.read(step.layout), step.partition)
    inner = _inner_size(step, chosen, size)
    filesystem = job.scratch / "filesystem"
    make_xfs(step, job, filesystem, inner)
    write_volume(
        job.out / "image",
        size,
        filesystem,
        chosen,
        [(key.name, passphrase_bytes(key.passphrase, job), _kdf(key)) for key in step.keys],
        VolumeIdentity(step.uuid, step.volume_id),
        fill=step.fill,
        journal=step.journal,
    )


def _encryption(step: LuksVolume) -> Encryption:
    """What the options ask for, if sectors can be encrypted with it here."""
    try:
        chosen = encryption(step.cipher, step.integrity, step.sector_size, key_bits=step.key_bits)
        sector_cipher(chosen, bytes(chosen.key_bytes))
    except KiwiliteError as error:
        error.where = step.where
        raise
    return chosen


def _inner_size(step: LuksVolume, chosen: Encryption, size: int) -> int:
    """Bytes the volume provides on its partition."""
    provided = _provided(chosen, step.journal, size)
    if provided >= XFS_MINIMUM:
        return provided
    needed = next(
        n for n in range(301, 1000) if _provided(chosen, step.journal, n * MIB) >= XFS_MINIMUM
    )
    raise DoesNotFit(
        f"the overlay's partition has {human_size(size)}, which leaves {human_size(provided)} "
        "inside the encryption: too little for XFS",
        where=step.where,
        hint=f"the partition needs {needed} MiB: make the disk {needed - size // MIB} MiB larger",
    )


def _provided(chosen: Encryption, journal: Literal["written", "deferred"], size: int) -> int:
    try:
        return geometry_for(size, chosen, journal).provided_bytes
    except TooSmallForIntegrity:
        return 0


def make_xfs(step: LuksVolume, job: Job, image: Path, size: int) -> None:
    """An empty XFS of `size` bytes on a sparse file, for what an old kernel mounts, too."""
    with image.open("wb") as stream:
        stream.truncate(size)
    log = ["--unsupported", "-l", f"size={SPARSE_LOG}"] if step.fill == "sparse" else []
    job.run(
        ["mkfs.xfs", "-q", "-f", *xfs_features(job), "-m", f"uuid={step.filesystem_uuid}"]
        + ["-b", "size=4096", "-s", f"size={step.sector_size}", *log, image],
        environment=fixed_clock(job, step.epoch),
    )


def _kdf(key: VolumeKey) -> Kdf:
    if key.pbkdf == "pbkdf2":
        return Pbkdf2("sha256", key.iterations)
    variant = cast(Literal["argon2i", "argon2id"], key.pbkdf)
    return Argon2(variant, key.iterations, key.memory, key.parallel)
