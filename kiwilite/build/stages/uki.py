"""The unified kernel image, with the policy and the root hash inside."""

from __future__ import annotations

from typing import cast

from kiwilite.boot.policy import (
    Grow,
    OnCorruption,
    OnFailure,
    PlainPartition,
    Policy,
    Volume,
    policy_archive,
)
from kiwilite.boot.uki import Uki as UkiImage
from kiwilite.boot.uki import UkiProfile, assemble
from kiwilite.build.job import Job
from kiwilite.build.passphrase import passphrase_bytes
from kiwilite.build.verified import verity_device
from kiwilite.plan.image_steps import Uki, VolumeTarget


def run(step: Uki, job: Job) -> None:
    """Fill `uki.efi` and `roothash`."""
    boot = job.read(step.boot)
    devices = tuple(verity_device(target, job) for target in step.verity)
    policy = Policy(
        image=step.image,
        version=step.version,
        verity=devices,
        volumes=_volumes(step),
        switches=step.switches,
        on_failure=cast(OnFailure, step.on_failure),
        format_options=step.overlay.format_options if step.overlay else (),
        on_corruption=cast(OnCorruption, step.on_corruption),
        trees=step.trees,
        resettable=tuple(
            PlainPartition(p.partuuid, p.filesystem, p.mountpoint, p.label) for p in step.resettable
        ),
        grow=Grow(step.grow.when, step.grow.partuuid) if step.grow else None,
    )
    key = passphrase_bytes(step.overlay.passphrase, job) if step.overlay else None
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


def _volumes(step: Uki) -> tuple[Volume, ...]:
    rows = [_volume(target) for target in step.volumes]
    if step.overlay is not None:
        o = step.overlay
        rows.insert(0, Volume(o.mapping, o.partuuid, o.volume_id, o.filesystem))
    return tuple(rows)


def _volume(target: VolumeTarget) -> Volume:
    return Volume(
        mapping=target.mapping,
        partuuid=target.partuuid,
        volume_id=target.volume_id,
        filesystem=target.filesystem,
        mountpoint=target.mountpoint,
        reset=target.reset,
        options=target.options,
    )
