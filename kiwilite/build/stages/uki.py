"""The unified kernel image, with the policy and the root hash inside."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from kiwilite.boot.initrd import policy_archive
from kiwilite.boot.policy import OnFailure, OverlayVolume, Policy, VerityDevice
from kiwilite.boot.uki import Uki as UkiImage
from kiwilite.boot.uki import UkiProfile, assemble
from kiwilite.build.job import Job
from kiwilite.plan.image_steps import OverlayTarget, Uki, VerityTarget
from kiwilite.plan.partitions import round_up
from kiwilite.plan.references import Secret


def run(step: Uki, job: Job) -> None:
    """Fill `uki.efi` and `roothash`."""
    boot = job.read(step.boot)
    devices = tuple(_device(target, job) for target in step.verity)
    policy = Policy(
        image=step.image,
        version=step.version,
        verity=devices,
        overlay=_volume(step.overlay) if step.overlay else None,
        switches=step.switches,
        on_failure=cast(OnFailure, step.on_failure),
    )
    key = _key(step.overlay, job) if step.overlay else None
    root_hash = next(d.root_hash for d in devices if d.mountpoint == "/")
    uki = UkiImage(
        linux=(boot / "vmlinuz").read_bytes(),
        initrd=policy_archive(policy, key, epoch=step.epoch) + (boot / "initrd").read_bytes(),
        os_release=(job.read(step.system) / "os-release").read_bytes(),
        uname=(boot / "uname").read_text(),
        profiles=tuple(
            UkiProfile(p.id, p.title, f"{p.cmdline} roothash={root_hash}".strip())
            for p in step.profiles
        ),
    )
    (job.out / "uki.efi").write_bytes(assemble((boot / "stub.efi").read_bytes(), uki))
    (job.out / "roothash").write_text(f"{root_hash}\n")


def _key(target: OverlayTarget, job: Job) -> bytes:
    """The key file's bytes; the line end an editor leaves is no part of a passphrase."""
    if isinstance(target.passphrase, Secret):
        return target.passphrase.text.encode()
    return job.source(target.passphrase).read_bytes().removesuffix(b"\n")


def _device(target: VerityTarget, job: Job) -> VerityDevice:
    image: Path = job.read(target.image) / "image"
    return VerityDevice(
        mapping=target.mapping,
        partuuid=target.partuuid,
        root_hash=(job.read(target.verity) / "roothash").read_text().strip(),
        hash_offset=round_up(image.stat().st_size, 4096),
        mountpoint=target.mountpoint,
        filesystem="squashfs",
    )


def _volume(target: OverlayTarget) -> OverlayVolume:
    return OverlayVolume(
        mapping=target.mapping,
        partuuid=target.partuuid,
        volume_id=target.volume_id,
        filesystem=target.filesystem,
        format_options=target.format_options,
    )
