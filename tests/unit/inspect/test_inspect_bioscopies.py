"""What a legacy BIOS boots is what the unified kernel image boots, word for word."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from kiwilite.inspect.bioscopies import check_bios_copies
from kiwilite.inspect.bootimage import BootImage, EfiFile, Profile
from kiwilite.inspect.findings import Finding, Severity
from kiwilite.inspect.source import opened
from kiwilite.inspect.table import Partition
from kiwilite.ondisk import fat, gpt, pe
from kiwilite.ondisk.grub import INITRD_FILE, LINUX_FILE, MENU_FILE
from kiwilite.ondisk.grub_menu import MenuEntry, render

TOOLS = ("mkfs.vfat", "mmd", "mcopy")
pytestmark = pytest.mark.skipif(
    any(shutil.which(t) is None for t in TOOLS), reason=f"{', '.join(TOOLS)} are not all installed"
)

SIZE = 4 << 20
ESP = Partition(1, "p.UEFI", 0, SIZE, gpt.ESP, UUID(int=2), 0)
MAIN = Profile(0, "main", "Tiny", 'console=ttyS0 roothash=ab dyndbg="file a.c +p"')
RESET = Profile(1, "reset", "Tiny (factory reset)", "console=ttyS0 roothash=ab reset")


def image(*profiles: Profile, linux: bytes = b"kernel" * 900) -> BootImage:
    sections = (pe.Section(".linux", linux), pe.Section(".initrd", b"initrd" * 700))
    file = EfiFile(ESP, "EFI/Linux/tiny.efi", b"", ())
    return BootImage(file, sections, profiles, "6.0", "Tiny", False, None, {})


def menu_of(*profiles: Profile) -> bytes:
    entries = [MenuEntry(p.id or "main", p.title or "tiny.efi", p.cmdline) for p in profiles]
    return render(entries, timeout=3).encode()


def copies_of(wanted: BootImage) -> dict[str, bytes]:
    """The files as a build writes them."""
    return {
        LINUX_FILE: wanted.section(".linux"),
        INITRD_FILE: wanted.section(".initrd"),
        MENU_FILE: menu_of(*wanted.profiles),
    }


def found(folder: Path, files: Mapping[str, bytes], images: Sequence[BootImage]) -> list[Finding]:
    """What is said of an EFI system partition with these files."""
    disk = folder / "esp"
    with disk.open("wb") as stream:
        stream.truncate(SIZE)
    subprocess.run(["mkfs.vfat", "-F", "12", disk], check=True, capture_output=True)
    subprocess.run(["mmd", "-i", disk, "::/kiwilite"], check=True)
    for path, content in files.items():
        (folder / "file").write_bytes(content)
        subprocess.run(["mcopy", "-i", disk, folder / "file", f"::/{path}"], check=True)
    with opened(disk) as source:
        volume = fat.read(source.read, SIZE)
        findings = list(check_bios_copies(source, ESP, volume, tuple(images)))
    assert all(f.severity is Severity.ERROR for f in findings)
    return findings


def said(folder: Path, files: Mapping[str, bytes], *images: BootImage) -> list[str]:
    return [finding.what for finding in found(folder, files, images)]


@pytest.mark.parametrize(
    "profiles", [(MAIN, RESET), (Profile(0, "", "", MAIN.cmdline),)], ids=["two", "unnamed"]
)
def test_the_copies_of_a_build_are_in_order(tmp_path: Path, profiles: tuple[Profile, ...]) -> None:
    wanted = image(*profiles)
    assert said(tmp_path, copies_of(wanted), wanted) == []


def test_a_partition_without_copies_is_in_order(tmp_path: Path) -> None:
    assert said(tmp_path, {}, image(MAIN)) == []


@pytest.mark.parametrize(
    ("cmdline", "how"),
    [
        ("console=ttyS0 roothash=cd reset", "has roothash=cd and lacks roothash=ab"),
        ("console=ttyS0 roothash=ab reset init=/bin/sh", "has init=/bin/sh"),
        ("console=ttyS0 roothash=ab", "lacks reset"),
        ("roothash=ab console=ttyS0 reset", "another order"),
        ("console=ttyS0 roothash=ab reset reset", "another order or number"),
    ],
)
def test_another_command_line_in_the_menu_is_found(tmp_path: Path, cmdline: str, how: str) -> None:
    wanted = image(MAIN, RESET)
    menu = menu_of(MAIN, Profile(1, RESET.id, RESET.title, cmdline))
    (finding,) = found(tmp_path, copies_of(wanted) | {MENU_FILE: menu}, [wanted])
    assert "the command line of entry reset" in finding.what
    assert how in finding.what
    raw = (tmp_path / "esp").read_bytes()
    assert finding.place.start == raw.index(menu)
    assert len(menu) <= finding.place.end - finding.place.start < len(menu) + 4096


def test_blanks_between_words_make_no_difference(tmp_path: Path) -> None:
    wanted = image(Profile(0, "main", "Tiny", "console=ttyS0   roothash=ab "))
    menu = menu_of(Profile(0, "main", "Tiny", "console=ttyS0 roothash=ab"))
    assert said(tmp_path, copies_of(wanted) | {MENU_FILE: menu}, wanted) == []


def test_a_menu_with_other_entries_is_found(tmp_path: Path) -> None:
    wanted = image(MAIN, RESET)
    (line,) = said(tmp_path, copies_of(wanted) | {MENU_FILE: menu_of(MAIN)}, wanted)
    assert "entries: 1, boot profiles of the unified kernel image: 2" in line
    swapped = menu_of(Profile(0, "reset", "Tiny", MAIN.cmdline), RESET)
    (line,) = said(tmp_path, copies_of(wanted) | {MENU_FILE: swapped}, wanted)
    assert "entry reset (Tiny) stands for boot profile main Tiny" in line


@pytest.mark.parametrize("menu", [b"", b"configfile /other\n", b"\xff\xfe"])
def test_a_menu_that_is_not_kiwilite_s_is_found(tmp_path: Path, menu: bytes) -> None:
    wanted = image(MAIN)
    (line,) = said(tmp_path, copies_of(wanted) | {MENU_FILE: menu}, wanted)
    assert "not as kiwilite writes it" in line


@pytest.mark.parametrize("path", [LINUX_FILE, INITRD_FILE, MENU_FILE])
def test_a_copy_that_is_missing_or_different_is_found(tmp_path: Path, path: str) -> None:
    wanted = image(MAIN, RESET)
    copies = copies_of(wanted)
    (line,) = said(tmp_path, copies | {path: b"other"}, wanted)
    assert line.startswith(path)
    del copies[path]
    (line,) = said(tmp_path, copies, wanted)
    assert line.startswith(f"{path} is missing")


def test_kernel_and_menu_of_different_images_are_found(tmp_path: Path) -> None:
    old, new = image(MAIN, linux=b"old"), image(RESET, linux=b"new")
    assert said(tmp_path, copies_of(new), old, new) == []
    mixed = copies_of(new) | {LINUX_FILE: b"old"}
    (line,) = said(tmp_path, mixed, old, new)
    assert line.startswith(LINUX_FILE)
