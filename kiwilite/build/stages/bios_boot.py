"""GRUB for a legacy BIOS, from the image's own packages, without grub-install."""

from __future__ import annotations

import shutil

from kiwilite.build.intree import run_in_tree
from kiwilite.build.job import Job
from kiwilite.build.tree import inside
from kiwilite.errors import StageFailed
from kiwilite.ondisk.grub import FOLDER
from kiwilite.plan.image_steps import BiosBoot

MODULES = "/usr/lib/grub/i386-pc"
WORK = "/tmp/kiwilite"
"""Where the tree's grub-mkimage finds and leaves its files; nothing of it stays in the tree."""

PARTS = (
    "biosdisk", "part_gpt", "fat", "search_fs_uuid",
    "normal", "configfile", "linux", "serial", "terminal",
)  # fmt: skip

# Read before there is a script parser: plain commands and variables only. $root is what
# the prefix names, so the disk the BIOS has started comes before a copy of it.
EMBEDDED = """\
search.fs_uuid {volume_id} root $root
set prefix=($root)/{folder}
"""

NEEDED = {
    "/usr/bin/grub-mkimage": "grub-common",
    f"{MODULES}/boot.img": "grub-pc-bin",
    f"{MODULES}/diskboot.img": "grub-pc-bin",
}


def run(step: BiosBoot, job: Job) -> None:
    """Fill `boot.img` and `core.img`. StageFailed where the packages have no GRUB for a BIOS."""
    tree = job.read(step.tree) / "tree"
    for path, package in NEEDED.items():
        if not inside(tree, path).exists():
            raise StageFailed(
                f"a boot by BIOS needs {path}, which the packages do not bring",
                hint=f'add <package name="{package}"/>, or leave out eficsm="true"',
            )
    work = job.scratch / "grub"
    work.mkdir()
    (work / "embedded.cfg").write_text(
        EMBEDDED.format(volume_id=volume_id_words(step.volume_id), folder=FOLDER)
    )
    run_in_tree(
        job,
        tree,
        ["/usr/bin/grub-mkimage", "--format=i386-pc", f"--directory={MODULES}"]
        + [f"--config={WORK}/embedded.cfg", f"--output={WORK}/core.img"]
        + [f"--prefix=(,gpt{step.esp_number})/{FOLDER}", *PARTS],
        binds={WORK: work},
    )
    shutil.copyfile(work / "core.img", job.out / "core.img")
    shutil.copyfile(inside(tree, f"{MODULES}/boot.img"), job.out / "boot.img")


def volume_id_words(volume_id: int) -> str:
    """A FAT volume id as GRUB and blkid write it: 1A2B-3C4D."""
    return f"{volume_id >> 16:04X}-{volume_id & 0xFFFF:04X}"
