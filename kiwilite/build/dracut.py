"""Runs the image's own dracut inside its tree, with the module kiwilite adds to it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from kiwilite.boot import dracut
from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed

MODULES_FOLDER = "/usr/lib/dracut/modules.d"
CONFIGURATION = "/etc/dracut.conf.d"
WORK = "/run/kiwilite"

LEFT_OUT = (
    *("systemd", "systemd-initrd", "dracut-systemd"),  # see module-setup.sh
    *("kiwi-lib", "kiwi-overlay", "kiwi-verity", "kiwi-repart"),  # 90kiwilite does their work
)
"""Modules that are not taken, even where the description's dracut.conf.d asks for them."""


def build_initrd(
    job: Job,
    tree: Path,
    kernel_version: str,
    *,
    programs: Iterable[str],
    modules: Iterable[str],
    configuration: Iterable[Path],
    epoch: int,
) -> bytes:
    """dracut's archive, uncompressed. `configuration` are folders with files for dracut.conf.d.

    The tree is not changed. Raises StageFailed where dracut is not in it or fails,
    MissingProgram where it leaves out what the hook needs.
    """
    if not inside(tree, MODULES_FOLDER).is_dir():
        raise StageFailed(
            "the packages bring no dracut, which initrd_system asks for",
            hint='add <package name="dracut"/>, or leave out initrd_system="dracut"',
        )
    programs = sorted(programs)
    work = job.scratch / "dracut"
    (work / "tmp").mkdir(parents=True)
    _write_module(inside(tree, MODULES_FOLDER), work / "modules.d", programs, modules)
    _merge_configuration(inside(tree, CONFIGURATION), work / "dracut.conf.d", configuration)
    run_in_tree(
        job,
        tree,
        _command(kernel_version),
        environment={
            "SOURCE_DATE_EPOCH": str(epoch),
            # neither is possible in a user namespace
            "DRACUT_NO_MKNOD": "1",
            "DRACUT_NO_XATTR": "1",
        },
        binds={
            WORK: work,
            MODULES_FOLDER: work / "modules.d",
            CONFIGURATION: work / "dracut.conf.d",
        },
    )
    raw = (work / "initrd").read_bytes()
    dracut.check_archive(raw, programs, where=f"the dracut of {tree.name}")
    return raw


def _command(kernel_version: str) -> list[str]:
    return [
        *("dracut", "--force", "--reproducible", "--no-hostonly", "--no-hostonly-cmdline"),
        *("--no-early-microcode", "--no-compress", "--tmpdir", f"{WORK}/tmp"),
        *("--modules", dracut.MODULE.lstrip("0123456789"), "--omit", " ".join(LEFT_OUT)),
        *("--kver", kernel_version, f"{WORK}/initrd"),
    ]


def _write_module(
    theirs: Path, merged: Path, programs: Iterable[str], modules: Iterable[str]
) -> None:
    """dracut's modules and ours, in one folder to show in place of dracut's."""
    shutil.copytree(theirs, merged, symlinks=True)
    folder = merged / dracut.MODULE
    folder.mkdir()
    for name, content in dracut.module_files(programs, modules).items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o755 if name.endswith((".sh", "-root")) else 0o644)


def _merge_configuration(theirs: Path, merged: Path, added: Iterable[Path]) -> None:
    merged.mkdir()
    for folder in (theirs, *added):
        if folder.is_dir():
            shutil.copytree(folder, merged, symlinks=True, dirs_exist_ok=True)
