"""Disks made of given contents, to compare two that differ in one thing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

from synthetic_disk import MIB, put

from kiwilite.ondisk import gpt, mbr

EPOCH = 1_700_000_000
TOOLS = ("mksquashfs", "unsquashfs", "mke2fs", "debugfs", "mkfs.xfs", "xfs_db", "mkfs.vfat",
         "mcopy", "zstd")  # fmt: skip
Change = Callable[[Path], object]
"""What is done to a folder before something is made of it."""


def nothing(_: Path) -> None:
    """Leave a folder as it is."""


def make(path: Path, contents: Mapping[str, Path | None]) -> Path:
    """A disk with a partition of each name, as long as what is in it, at least 1 MiB."""
    rows, at = [], MIB
    for number, (name, content) in enumerate(contents.items()):
        size = max(1, -(-content.stat().st_size // MIB)) * MIB if content else MIB
        kind = gpt.ESP if name == "p.UEFI" else gpt.LINUX_FILESYSTEM
        first, last = at // 512, (at + size) // 512 - 1
        rows.append(gpt.GptPartition(kind, UUID(int=number + 1), first, last, 0, name))
        at += size
    table = gpt.Gpt(UUID(int=99), tuple(rows), (at + MIB) // 512, 512)
    areas = gpt.write(table)
    with path.open("wb") as out:
        out.truncate(at + MIB)
        put(out, 0, mbr.protective(table.disk_sectors).pack())
        put(out, areas.primary_offset, areas.primary)
        put(out, areas.backup_offset, areas.backup)
        for row, content in zip(rows, contents.values(), strict=True):
            if content is not None:
                out.seek(row.first_lba * 512)
                with content.open("rb") as stream:
                    shutil.copyfileobj(stream, out, MIB)
    return path


def tree(folder: Path, change: Change = nothing) -> Path:
    """A few files with fixed time stamps, and one change."""
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/motd").write_bytes(b"Welcome to where you are.\n" * 400)
    (folder / "etc/with space").write_text("spaced")
    (folder / "etc/link").symlink_to("motd")
    (folder / "usr").mkdir()
    for number in range(20):
        (folder / "usr" / f"file{number:02}").write_text(f"{number}\n")
    change(folder)
    for path in (*folder.rglob("*"), folder):
        if path.lstat().st_mtime > EPOCH:
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
    return folder


def squashfs(target: Path, change: Change = nothing, *options: str) -> Path:
    """A squashfs of `tree`."""
    folder = tree(target.with_suffix(".tree"), change)
    fixed = ["-mkfs-time", str(EPOCH)] if "-mkfs-time" not in options else []
    _run("mksquashfs", folder, target, "-noappend", "-quiet", "-no-progress", *fixed, *options)
    return target


def ext4(target: Path, change: Change = nothing) -> Path:
    """An ext4 of 8 MiB with `tree` in it, always with the same UUID."""
    folder = tree(target.with_suffix(".tree"), change)
    target.write_bytes(b"")
    os.truncate(target, 8 * MIB)
    known = "00000000-0000-0000-0000-000000000007"
    options = ["-E", f"hash_seed={known},lazy_itable_init=0", "-U", known, "-d", str(folder)]
    _run("mke2fs", "-q", "-F", "-t", "ext4", *options, target, clock=str(EPOCH))
    return target


def xfs(target: Path) -> Path:
    """An XFS of 32 MiB with a file in it."""
    target.write_bytes(b"")
    os.truncate(target, 32 * MIB)
    data = target.with_suffix(".data")
    data.write_bytes(b"in an XFS\n" * 4000)
    description = target.with_suffix(".prototype")
    description.write_text(f"x\n0 0\nd--755 0 0\nhello ---644 0 0 {data}\n$\n")
    _run("mkfs.xfs", "-q", "-f", "--unsupported", "-p", description, target)
    return target


def esp(target: Path, files: Mapping[str, bytes]) -> Path:
    """A FAT of 8 MiB with files in its root folder."""
    target.write_bytes(b"")
    os.truncate(target, 8 * MIB)
    _run("mkfs.vfat", "-i", "12345678", "--invariant", target, clock=str(EPOCH))
    for name, content in files.items():
        source = target.with_suffix(".file")
        source.write_bytes(content)
        os.utime(source, (EPOCH, EPOCH))
        _run("mcopy", "-m", "-i", target, source, f"::{name}", clock=str(EPOCH))
    return target


def _run(*words: str | Path, clock: str | None = None) -> None:
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    environment = {**os.environ, "PATH": path}
    if clock:
        environment["SOURCE_DATE_EPOCH"] = clock
    subprocess.run(list(words), check=True, capture_output=True, env=environment)
