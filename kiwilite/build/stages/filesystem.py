"""A writable partition's file system, filled from a folder of the tree, reproducible."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path

from kiwilite.build.job import Job
from kiwilite.build.tree import inside
from kiwilite.errors import NoSpace, StageFailed
from kiwilite.plan.image_steps import FileSystem
from kiwilite.plan.partitions import MIB, DoesNotFit, human_size, round_up

# The host's /etc/mke2fs.conf must not decide what the image's kernel has to understand.
MKE2FS_CONFIGURATION = """\
[defaults]
base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
default_mntopts = acl,user_xattr
enable_periodic_fsck = 0
blocksize = 4096
inode_size = 256
inode_ratio = 16384

[fs_types]
ext4 = {
    features = has_journal,extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize
    inode_size = 256
}
"""
BLOCK = 4096
FULL = ("Could not allocate",)
"""How mke2fs says that its image is full; mkfs.xfs says it as of a disk (NoSpace)."""


def run(step: FileSystem, job: Job) -> None:
    """Fill `image`, a sparse file of `step.size` bytes. DoesNotFit when that is too little."""
    folder = _content(step, job)
    least = content_size(folder)
    if least > step.size:
        raise _does_not_fit(step, least)
    image = job.out / "image"
    with image.open("wb") as stream:
        stream.truncate(step.size)
    try:
        if step.filesystem == "xfs":
            _xfs(step, job, folder, image)
        else:
            _ext(step, job, folder, image)
    except (StageFailed, NoSpace) as error:
        if isinstance(error, StageFailed) and not any(w in error.message for w in FULL):
            raise
        # Both tools have the same words for a full image and a full disk.
        if shutil.disk_usage(job.out).free < least:
            raise
        raise _does_not_fit(step, least) from error


def content_size(folder: Path) -> int:
    """Bytes that all files below `folder` take at least: holes and second names are free."""
    files = (p.lstat() for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
    by_inode = {s.st_ino: s for s in files}
    return sum(min(round_up(s.st_size, BLOCK), s.st_blocks * 512) for s in by_inode.values())


def _does_not_fit(step: FileSystem, least: int) -> DoesNotFit:
    return DoesNotFit(
        f"the partition for {step.folder} has {human_size(step.size)}, "
        f"its files alone take {human_size(least)}",
        where=step.where,
        hint=f'make it larger, such as size="{-(-least * 5 // 4 // MIB) + 16}M"',
    )


def _content(step: FileSystem, job: Job) -> Path:
    """The folder to fill from: a copy, without what lies below other mount points."""
    tree = job.read(step.tree) / "tree"
    folder = inside(tree, step.folder)
    copy = job.scratch / "content"
    if folder.is_dir():
        job.run(["cp", "-a", "--reflink=auto", folder, copy])
    else:
        copy.mkdir()
    for mount_point in step.leave_out:
        below = inside(copy, mount_point.removeprefix(step.folder.rstrip("/")))
        for path in below.glob("*"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    return copy


def _ext(step: FileSystem, job: Job, folder: Path, image: Path) -> None:
    configuration = job.scratch / "mke2fs.conf"
    configuration.write_text(MKE2FS_CONFIGURATION)
    environment = {
        "MKE2FS_CONFIG": str(configuration),
        "SOURCE_DATE_EPOCH": str(step.epoch),
        "E2FSPROGS_FAKE_TIME": str(step.epoch),
    }
    job.run(
        ["mke2fs", "-q", "-F", "-t", step.filesystem, "-L", step.label, "-U", str(step.uuid)]
        + ["-E", f"hash_seed={step.uuid},lazy_itable_init=0,lazy_journal_init=0,nodiscard"]
        + ["-d", str(folder), str(image)],
        environment=environment,
    )
    _pin_ext_times(step, job, folder, image, environment)


def _pin_ext_times(
    step: FileSystem, job: Job, folder: Path, image: Path, environment: dict[str, str]
) -> None:
    """mke2fs copies the build's own change times; set every inode's times afterwards."""
    paths = ["/", "/lost+found"]
    paths += sorted(f"/{p.relative_to(folder)}" for p in folder.rglob("*"))
    rows = []
    for path in paths:
        source = folder / path.lstrip("/")
        status = source.lstat() if source.exists() or source.is_symlink() else None
        changed = min(int(status.st_mtime), step.epoch) if status else step.epoch
        for field in ("atime", "ctime", "crtime", "mtime"):
            value = changed if field == "mtime" else step.epoch
            rows.append(f'set_inode_field "{path}" {field} @{value:#x}')
            rows.append(f'set_inode_field "{path}" {field}_extra 0')
    script = job.scratch / "pin-times"
    script.write_text("".join(f"{row}\n" for row in rows))
    said = job.run(["debugfs", "-w", "-f", script, image], environment=environment)
    wrong = [line for line in said.splitlines() if "not found" in line or "nvalid" in line]
    if wrong:
        raise StageFailed(f"debugfs could not pin a time stamp: {wrong[0]}")


# Nothing newer than what Linux 6.1 mounts, whatever the host's mkfs.xfs would choose.
XFS_FEATURES = ("-m", "bigtime=1,inobtcount=1,reflink=1,rmapbt=0", "-i", "nrext64=0")
NEWER_XFS_FEATURES = (
    ((6, 10), ("-i", "exchange=0", "-n", "parent=0")),
    ((6, 13), ("-m", "metadir=0")),
)
"""The release of mkfs.xfs from which on it knows a feature, and what leaves it out. An older one
refuses the word."""
XFS_LABEL_LENGTH = 12
LOST_IN_XFS = {"security.capability"}
"""Attributes that the prototype language has no words for, and no tool to set them later."""


def _xfs(step: FileSystem, job: Job, folder: Path, image: Path) -> None:
    prototype = job.scratch / "prototype"
    prototype.write_text("\n".join(_prototype(folder)) + "\n")
    job.run(
        ["mkfs.xfs", "-q", "-f", *xfs_features(job), "-m", f"uuid={step.uuid}"]
        # Made on a file, which does not say what the disk's sectors are.
        + ["-s", f"size={step.sector_size}"]
        + ["-L", step.label[:XFS_LABEL_LENGTH], "-p", str(prototype), str(image)],
        environment=fixed_clock(job, step.epoch),
    )
    # mkfs.xfs -p can place a file over the log and still end with 0.
    job.run(["xfs_repair", "-n", "-f", image])


def xfs_features(job: Job) -> tuple[str, ...]:
    """Options that make an XFS for the oldest kernel, in the words of this host's mkfs.xfs."""
    return features_of(job.run(["mkfs.xfs", "-V"]))


def features_of(version: str) -> tuple[str, ...]:
    """The same, from what mkfs.xfs says of its version; raises StageFailed."""
    found = re.search(r"([0-9]+)\.([0-9]+)", version)
    if found is None:
        raise StageFailed(f"mkfs.xfs tells no version: {version.strip()!r}")
    release = int(found[1]), int(found[2])
    newer = (words for since, words in NEWER_XFS_FEATURES if release >= since)
    return tuple(word for words in (XFS_FEATURES, *newer) for word in words)


def fixed_clock(job: Job, epoch: int) -> dict[str, str]:
    """Environment in which a tool of `job` sees one time, `epoch`, and no chance."""
    library = job.tool_file("usr/lib/*/faketime/libfaketime.so.1")
    if library is None:
        raise StageFailed(
            "a reproducible XFS needs libfaketime on this host", hint="apt-get install libfaketime"
        )
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME": _calendar(epoch),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        # mkfs.xfs 6.13 takes the generations of inodes from getrandom, 6.1 does not. There are
        # releases that look at the first of these; the second is libfaketime's.
        "DETERMINISTIC_SEED": "1",
        "FAKERANDOM_SEED": "0x6B6977696C697465",
    }


def _calendar(epoch: int) -> str:
    from datetime import UTC, datetime

    # A time with "@" before it runs on from there; without it stands still.
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _prototype(folder: Path) -> list[str]:
    """The folder in mkfs.xfs's prototype language: names, types, modes, owners, contents.

    Contents are named relative to the folder's parent, where mkfs.xfs is started.
    """
    rows = ["/", "0 0", _row(folder)]
    rows += _prototype_below(folder, folder.name)
    return [*rows, "$"]


def _prototype_below(folder: Path, place: str) -> list[str]:
    rows = []
    for path in sorted(folder.iterdir()):
        inner = f"{place}/{_word(path.name)}"
        if path.is_symlink():
            rows.append(f"{path.name} {_row(path)} {_word(str(path.readlink()))}")
        elif path.is_dir():
            rows += [f"{path.name} {_row(path)}", *_prototype_below(path, inner), "$"]
        elif path.is_file():
            rows.append(f"{path.name} {_row(path)} {inner}")
        else:
            raise _refused(path.name, "is neither a file nor a folder nor a link")
    return rows


def _word(text: str) -> str:
    if any(c.isspace() for c in text):
        raise _refused(repr(text), "has white space in it")
    return text


def _refused(what: str, why: str) -> StageFailed:
    return StageFailed(
        f"mkfs.xfs cannot take {what}, which {why}",
        hint="change it, or use ext4 for that partition",
    )


def _row(path: Path) -> str:
    status = path.lstat()
    if status.st_mode & stat.S_ISVTX:
        raise _refused(path.name, "has the sticky bit")
    if set(os.listxattr(path, follow_symlinks=False)) & LOST_IN_XFS:
        raise _refused(path.name, "has file capabilities")
    kind = "l" if path.is_symlink() else "d" if path.is_dir() else "-"
    mode = status.st_mode
    special = f"{'u' if mode & 0o4000 else '-'}{'g' if mode & 0o2000 else '-'}"
    return f"{kind}{special}{mode & 0o777:03o} {status.st_uid} {status.st_gid}"
