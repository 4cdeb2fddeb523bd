"""What a legacy BIOS boots, kernel, initrd and GRUB's menu, against the unified kernel image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kiwilite.inspect.bootimage import BootImage
from kiwilite.inspect.findings import Finding, Place, error
from kiwilite.inspect.source import Disk
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import fat, grub_menu
from kiwilite.ondisk.grub import INITRD_FILE, LINUX_FILE, MENU_FILE, BadGrub

SECTIONS: Final = ((".linux", LINUX_FILE), (".initrd", INITRD_FILE))
"""Sections of the unified kernel image, and the files with the same content."""

_ADVICE: Final = "a legacy BIOS would boot something else; build or flash the image anew"


def check_bios_copies(
    disk: Disk, partition: Partition, volume: fat.Fat, images: tuple[BootImage, ...]
) -> Iterator[Finding]:
    """All of one unified kernel image; nothing where there is no image, or none of the files."""
    files = {
        path: file
        for path in (LINUX_FILE, INITRD_FILE, MENU_FILE)
        if (file := volume.find(path)) is not None
    }
    if not files or not images:
        return

    def read(at: int, length: int) -> bytes:
        return disk.read(partition.start + at, length)

    contents = {path: volume.content(file, read) for path, file in files.items()}
    places = {path: _place(partition, volume, file) for path, file in files.items()}
    # Of several images one must have them all: a kernel with another one's menu is neither's.
    found = min((list(_differences(image, contents)) for image in images), key=len)
    for path, what in found:
        yield error(places.get(path, partition.whole()), what, _ADVICE)


def _place(partition: Partition, volume: fat.Fat, file: fat.FatFile) -> Place:
    runs = list(volume.runs(file)) or [(0, 0)]
    return partition.place(runs[0][0], runs[-1][1])


def _differences(image: BootImage, contents: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Path of a file, and how it differs from the image."""
    for path in (LINUX_FILE, INITRD_FILE, MENU_FILE):
        if path not in contents:
            yield path, f"{path} is missing, and other files for a legacy BIOS are here"
    for section, path in SECTIONS:
        if path in contents and contents[path] != image.section(section):
            yield path, f"{path} is not the {section} of the unified kernel image"
    if MENU_FILE in contents:
        try:
            for what in _other_entries(image, contents[MENU_FILE].decode("utf-8", "replace")):
                yield MENU_FILE, f"{MENU_FILE}: {what}"
        except BadGrub as problem:
            yield MENU_FILE, f"{MENU_FILE}: {problem.message}"


def _other_entries(image: BootImage, menu: str) -> Iterator[str]:
    """Entries that are not the image's boot profiles. Raises BadGrub."""
    entries = grub_menu.read(menu)
    if len(entries) != len(image.profiles):
        count = len(image.profiles)
        yield f"entries: {len(entries)}, boot profiles of the unified kernel image: {count}"
        return
    for entry, profile in zip(entries, image.profiles, strict=True):
        # An image with one profile names it nowhere.
        named = (profile.id or entry.id, profile.title or entry.title)
        if (entry.id, entry.title) != named:
            yield f"entry {entry.id} ({entry.title}) stands for boot profile {' '.join(named)}"
        said = grub_menu.kernel_words(entry.cmdline)
        wanted = grub_menu.kernel_words(profile.cmdline)
        if said != wanted:
            yield f"the command line of entry {entry.id} {_how(said, wanted)}"


def _how(said: list[str], wanted: list[str]) -> str:
    """Which words differ, or that only their order does."""
    more = [word for word in said if word not in wanted]
    less = [word for word in wanted if word not in said]
    parts = [f"has {' '.join(more)}"] * bool(more) + [f"lacks {' '.join(less)}"] * bool(less)
    if not parts:
        return "has the unified kernel image's words in another order or number"
    return f"{' and '.join(parts)}, unlike the unified kernel image's"
