"""Where the parts of a verified partition stand, as the policy tells the initrd."""

from __future__ import annotations

from pathlib import Path

from kiwilite.boot.policy import Fec, VerityDevice
from kiwilite.build.geometry import BLOCK, CONTENT_FILES
from kiwilite.build.job import Job
from kiwilite.plan.image_steps import VerityTarget
from kiwilite.plan.partitions import partition_bytes, round_up

IMAGE, HASHES, FEC = CONTENT_FILES


def verity_device(target: VerityTarget, job: Job) -> VerityDevice:
    """The device with its offsets in bytes, as Layout and Disk place its parts."""
    image = _size(job.read(target.image) / IMAGE)
    tree = job.read(target.verity)
    apart = target.hash_partuuid is not None
    hash_offset = 0 if apart else image
    end = hash_offset + _size(tree / HASHES)
    fec = None
    if target.fec is not None:
        fec = Fec(end, target.fec_roots)
        end += _size(job.read(target.fec) / FEC)
    metadata_offset = None
    if target.metadata:
        content = (image if apart else end) + BLOCK
        metadata_offset = partition_bytes(target.size, content) - BLOCK
    return VerityDevice(
        mapping=target.mapping,
        partuuid=target.partuuid,
        root_hash=(tree / "roothash").read_text().strip(),
        hash_offset=hash_offset,
        mountpoint=target.mountpoint,
        filesystem="squashfs",
        hash_partuuid=target.hash_partuuid,
        fec=fec,
        metadata_offset=metadata_offset,
        options=target.options,
    )


def _size(path: Path) -> int:
    return round_up(path.stat().st_size, BLOCK)
