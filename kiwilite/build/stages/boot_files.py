"""Kernel, EFI stub, boot loader and initrd, all from the image's own distribution."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from kiwilite.boot import initrd
from kiwilite.build.job import Job
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.plan.image_steps import BootFiles

EFI_FOLDER = "/usr/lib/systemd/boot/efi"
EFI_NAME = {"amd64": "x64", "arm64": "aa64"}
ZSTD_LEVEL = 9
"""4 CPU seconds less than level 19, 10 % larger; well below the 12 MB an initrd may have."""


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
    programs = [p for p in initrd.PROGRAMS if p in wanted_programs(step)]
    raw = initrd.build(tree, version, epoch=step.epoch, programs=programs, unzstd=_unzstd)
    archive.write_bytes(raw)
    target = job.out / "initrd"
    job.run(["zstd", "--quiet", f"-{ZSTD_LEVEL}", "--no-check", archive, "-o", target])


def wanted_programs(step: BootFiles) -> set[str]:
    """Programs of the initrd; a tool that makes file systems only where there is one to make."""
    makers = {name for name in initrd.PROGRAMS if name.startswith("mkfs.")}
    return (set(initrd.PROGRAMS) - makers) | {f"mkfs.{step.overlay_filesystem}"}


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
    return subprocess.run(["zstd", "-dc"], input=raw, capture_output=True, check=True).stdout
