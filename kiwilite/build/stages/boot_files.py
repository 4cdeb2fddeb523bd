"""Kernel, EFI stub, boot loader and initrd, all from the image's own distribution."""

from __future__ import annotations

import shutil
from pathlib import Path

from kiwilite.boot import initrd
from kiwilite.boot.modules import closure, hash_modules, read_index
from kiwilite.build.dracut import build_initrd
from kiwilite.build.job import Job
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.plan.image_steps import BootFiles

EFI_FOLDER = "/usr/lib/systemd/boot/efi"
EFI_NAME = {"amd64": "x64", "arm64": "aa64"}
ZSTD_LEVEL = 3
"""A third of the time of level 9, and a tenth larger: well below the 12 MB that it may have."""


def run(step: BootFiles, job: Job) -> None:
    """Fill `vmlinuz`, `uname`, `initrd`, `stub.efi` and `systemd-boot.efi`."""
    tree = job.read(step.tree) / "tree"
    version = kernel_version(tree)
    shutil.copyfile(inside(tree, f"/boot/vmlinuz-{version}"), job.out / "vmlinuz")
    (job.out / "uname").write_text(version)
    suffix = EFI_NAME.get(step.architecture, step.architecture)
    _copy_efi(tree, f"linux{suffix}.efi.stub", job.out / "stub.efi")
    if step.with_loader:
        _copy_efi(tree, f"systemd-boot{suffix}.efi", job.out / "systemd-boot.efi")
    archive = job.scratch / "initrd.cpio"
    archive.write_bytes(_archive(step, job, tree, version))
    target = job.out / "initrd"
    job.run(["zstd", "--quiet", f"-{ZSTD_LEVEL}", "--no-check", archive, "-o", target])


def _archive(step: BootFiles, job: Job, tree: Path, version: str) -> bytes:
    """The initrd, uncompressed, made by kiwilite or by the image's own dracut."""
    programs = [p for p in initrd.PROGRAMS if p in wanted_programs(step)]
    index = read_index(tree, version)
    required = [*initrd.REQUIRED_MODULES, *hash_modules(index, step.hash_algorithm)]
    if "mkfs.ext4" in programs:
        required.append("ext4")
    if step.initrd_system == "kiwilite":
        return initrd.build(
            tree, version, epoch=step.epoch, required=required, programs=programs, unzstd=_unzstd
        )
    return build_initrd(
        job,
        tree,
        version,
        programs=programs,
        modules=closure(index, required, initrd.OPTIONAL_MODULES),
        configuration=[job.source(folder) for folder in step.dracut_configuration],
        epoch=step.epoch,
    )


GROWERS = {"xfs": "xfs_growfs", "ext4": "resize2fs"}


def wanted_programs(step: BootFiles) -> set[str]:
    """Programs of the initrd; tools for file systems only where there is something to do."""
    makers = {name for name in initrd.PROGRAMS if name.startswith("mkfs.")}
    programs = set(initrd.PROGRAMS) - makers - set(GROWERS.values()) - {"cp"}
    filesystems = {step.overlay_filesystem, *step.filesystems} - {None}
    programs |= {f"mkfs.{name}" for name in filesystems}
    if step.filesystems:
        programs.add("cp")
    if step.grows and step.overlay_filesystem in GROWERS:
        programs.add(GROWERS[step.overlay_filesystem])
    return programs


def kernel_version(tree: Path) -> str:
    """Release of the one kernel in the tree. StageFailed where there is none, or several."""
    found = sorted(p.name.removeprefix("vmlinuz-") for p in (tree / "boot").glob("vmlinuz-*"))
    if len(found) != 1:
        raise StageFailed(
            f"the packages bring {len(found)} kernels: {', '.join(found)}"
            if found
            else "the packages bring no kernel",
            hint="name exactly one kernel package, such as linux-image-amd64",
        )
    return found[0]


def _copy_efi(tree: Path, name: str, target: Path) -> None:
    source = inside(tree, f"{EFI_FOLDER}/{name}")
    if not source.exists():
        raise StageFailed(
            f"the packages bring no {EFI_FOLDER}/{name}",
            hint='add <package name="systemd-boot-efi"/>',
        )
    shutil.copyfile(source, target)


def _unzstd(raw: bytes) -> bytes:
    import zstandard

    # Frames need not say how large their content is.
    return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
