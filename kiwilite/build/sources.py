"""Package sources in apt's own words, and how to tell that one cannot be had."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from kiwilite.build.digest import digest_file
from kiwilite.build.job import Job
from kiwilite.build.mirrors import address_of, is_local
from kiwilite.errors import SourceUnreachable, StageFailed
from kiwilite.plan.tree_steps import AptSource

UNREACHABLE = (
    "Could not resolve",
    "Failed to fetch",
    "Could not connect",
    "Connection timed out",
    "Connection failed",
    "Unable to connect",
    "does not have a Release file",
    "Hash Sum mismatch",
    "File has unexpected size",
    "Unable to fetch some archives",
)


def source_line(job: Job, source: AptSource, keys: Sequence[str] = ()) -> str:
    """One `deb` line. Raises KiwiliteError for a distribution this host has no mirror for."""
    options = [f"signed-by={','.join(keys)}"] if keys else []
    options += ["trusted=yes"] if source.trusted else []
    if source.snapshot:
        options.append("check-valid-until=no")  # what is kept for good is old some day
    if source.architectures:
        options.append(f"arch={','.join(source.architectures)}")
    words = ["deb", *([f"[{' '.join(options)}]"] if options else [])]
    return " ".join([*words, apt_uri(job, source), source.suite, *source.components])


def apt_uri(job: Job, source: AptSource) -> str:
    """The address that apt is given. KiwiliteError as `source_line`."""
    folder = is_local(source.uri)
    if folder is not None:
        return f"file:{indexed(job, folder)}"
    return address_of(source.uri, source.snapshot, job.mirrors, job.snapshots)


def local_folders(sources: Sequence[AptSource]) -> tuple[Path, ...]:
    """Folders of this host that sources take packages from."""
    found = (is_local(source.uri) for source in sources)
    return tuple(dict.fromkeys(path for path in found if path is not None))


def has_index(folder: Path) -> bool:
    """Whether `folder` is a repository, and not a mere folder of packages."""
    return any(folder.glob("Packages*")) or (folder / "dists").is_dir()


def indexed(job: Job, folder: Path) -> Path:
    """`folder` where it is a repository; for a mere folder of packages, a copy with an index."""
    if has_index(folder):
        return folder
    copy = job.scratch / f"local-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    if copy.exists():
        return copy
    copy.mkdir()
    stanzas = []
    for package in sorted(folder.glob("*.deb")):
        shutil.copyfile(package, copy / package.name)
        control = job.run(["dpkg-deb", "--field", package]).strip()
        stanzas.append(
            f"{control}\nFilename: ./{package.name}\nSize: {package.stat().st_size}\n"
            f"SHA256: {digest_file(package)}\n"
        )
    (copy / "Packages").write_text("\n".join(stanzas))
    return copy


def unreachable(error: StageFailed) -> StageFailed | SourceUnreachable:
    """Tell a source that cannot be had from other failures, by apt's words."""
    if any(word in error.message for word in UNREACHABLE):
        return SourceUnreachable(
            error.message,
            hint="check the network, the <repository>, and `mirrors:` in kiwilite.yml",
        )
    return error
