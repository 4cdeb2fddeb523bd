"""The dracut module `90kiwilite`, for descriptions with initrd_system="dracut".

dracut collects the drivers, kiwilite-root assembles the root: the same hook, called with
the same commands, as in kiwilite's own initrd. The policy archive goes in front of what
dracut makes, as it goes in front of `initrd.build`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import resources

from kiwilite.boot.initrd import APPLETS, MissingProgram
from kiwilite.ondisk import cpio

MODULE = "90kiwilite"
_FOLDER = "usr/lib/kiwilite"


def module_files(programs: Iterable[str], modules: Iterable[str]) -> Mapping[str, bytes]:
    """The module's files by name.

    dracut looks `programs` up in the image's tree; `modules` are the kernel modules the hook
    may ask for, beside those that dracut takes along for disks.
    """
    boot = resources.files("kiwilite.boot")
    files = {
        entry.name: entry.read_bytes()
        for entry in sorted((boot / "dracut_module").iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".sh")
    }
    files["kiwilite-root"] = (boot / "initrd_files" / "kiwilite-root").read_bytes()
    for name, words in (("programs", programs), ("applets", APPLETS), ("modules", modules)):
        files[name] = "".join(f"{word}\n" for word in words).encode()
    return files


def check_archive(raw: bytes, programs: Iterable[str], *, where: str) -> None:
    """dracut goes on where something is missing: raise MissingProgram for what it left out."""
    names = {entry.path for entry in cpio.read(raw)}
    wanted = [f"{_FOLDER}/{name}" for name in ("busybox", "kiwilite-root", "bin/sh")]
    wanted += ["etc/conf.d/kiwilite.conf", "init"]
    basenames = {name.rpartition("/")[2] for name in names}
    missing = [path for path in wanted if path not in names]
    missing += [program for program in programs if program not in basenames]
    if missing:
        raise MissingProgram(
            f"dracut made an initrd without {', '.join(missing)}",
            where=where,
            hint="the step's log has dracut's messages; the packages dracut, cryptsetup-bin,"
            " busybox-static and udev are needed",
        )
