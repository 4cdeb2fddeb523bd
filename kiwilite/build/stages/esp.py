"""The EFI system partition, written file by file, never mounted."""

from __future__ import annotations

from pathlib import Path

from kiwilite.boot.uki import read as read_uki
from kiwilite.build.job import Job
from kiwilite.errors import KiwiliteError, StageFailed
from kiwilite.ondisk.grub import INITRD_FILE, LINUX_FILE, MENU_FILE, BadGrub
from kiwilite.ondisk.grub_menu import MenuEntry
from kiwilite.ondisk.grub_menu import render as render_menu
from kiwilite.plan.esp import fat_for, least_size
from kiwilite.plan.image_steps import Esp
from kiwilite.plan.partitions import DoesNotFit, human_size

BOOT_FILE = "EFI/BOOT/BOOTX64.EFI"
# mtools convert file times with the zone of the host; FAT starts in 1980.
FAT_EPOCH = 315532800


def run(step: Esp, job: Job) -> None:
    """Fill `image`. Raises DoesNotFit when a size fixed by the description is too small."""
    files = _files(step, job)
    sizes = [p.stat().st_size for p in files.values()]
    least = max(step.minimum, least_size(sizes, step.sector_size))
    size = step.fixed_size or least
    if size < least:
        raise DoesNotFit(
            f"efipartsize gives the EFI system partition {human_size(size)}, "
            f"its files need {human_size(least)}",
            where=step.where,
            hint=f'efipartsize="{-(-least // (1 << 20))}", or leave it out',
        )
    image = job.out / "image"
    with image.open("wb") as stream:
        stream.truncate(size)
    environment = {"SOURCE_DATE_EPOCH": str(max(step.epoch, FAT_EPOCH)), "MTOOLS_SKIP_CHECK": "1"}
    said = job.run(
        ["mkfs.vfat", "--invariant", "-F", str(fat_for(size, step.sector_size))]
        + ["-s", "1", "-S", str(step.sector_size)]
        + ["-n", "EFI", "-i", f"{step.volume_id:08x}", image],
        environment=environment,
    )
    if "warning" in said.lower():
        raise KiwiliteError(f"mkfs.vfat is not content with {human_size(size)}: {said.strip()}")
    folders = {str(p) for name in files for p in Path(name).parents if str(p) != "."}
    job.run(["mmd", "-i", image, *(f"::/{f}" for f in sorted(folders))], environment=environment)
    for name, source in files.items():
        # Not with -m: the results of other steps are as old as the build that made them.
        job.run(["mcopy", "-i", image, source, f"::/{name}"], environment=environment)


def _files(step: Esp, job: Job) -> dict[str, Path]:
    return _uefi_files(step, job) | (_bios_files(step, job) if step.bios else {})


def _bios_files(step: Esp, job: Job) -> dict[str, Path]:
    """What GRUB starts: kernel and initrd as they are in the UKI, and a menu of its profiles."""
    uki = read_uki((job.read(step.uki) / "uki.efi").read_bytes())
    # A UKI with one profile names it nowhere.
    entries = [MenuEntry(p.id or "main", p.title or step.uki_name, p.cmdline) for p in uki.profiles]
    try:
        menu = render_menu(entries, timeout=step.loader_timeout)
    except BadGrub as error:
        raise StageFailed(f"no menu for the BIOS: {error}", where=step.where) from error
    contents = {
        LINUX_FILE: uki.linux,
        INITRD_FILE: uki.initrd,
        MENU_FILE: menu.encode(),
    }
    files = {}
    for name, content in contents.items():
        files[name] = job.scratch / name
        files[name].parent.mkdir(exist_ok=True)
        files[name].write_bytes(content)
    return files


def _uefi_files(step: Esp, job: Job) -> dict[str, Path]:
    uki = job.read(step.uki) / "uki.efi"
    if not step.with_loader:
        return {BOOT_FILE: uki}
    loader = job.scratch / "loader.conf"
    loader.write_text(
        f"timeout {step.loader_timeout}\ndefault {step.uki_name.lower()}\neditor no\n"
    )
    return {
        BOOT_FILE: job.read(step.boot) / "systemd-boot.efi",
        "loader/loader.conf": loader,
        f"EFI/Linux/{step.uki_name}": uki,
    }
