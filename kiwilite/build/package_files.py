"""Package files: kept by their digest, downloaded when missing, given to apt as a repository.

    packages/debian/SHA256.deb    shared by all builds
    packages/plain/…              made from these, see `plain_packages`
    packages/work/…               on their way there, and being used; held by locks
    packages/downloading          one build downloads at a time; others find what it got

A file gets its name when its content has the digest, in one rename, and has its digest
checked each time before it is used: a half-written or damaged one is downloaded again.
apt is then given a repository of exactly the selected packages, so what it installs
cannot be anything else, whoever selected them and whenever. Nothing is removed while a
build runs steps: it holds the whole folder (`executor`), and `upkeep` asks for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

from kiwilite.build.control import control_of, field, stanzas
from kiwilite.build.digest import digest_file
from kiwilite.build.job import Job
from kiwilite.build.mirrors import DISTRO, address_of, is_local
from kiwilite.build.plain_packages import plain
from kiwilite.errors import KiwiliteError, SourceUnreachable, StageFailed
from kiwilite.plan.selection import PackageFile

FOLDER = "debian"
WORK = "work"
LOCKS = ("downloading", "work.lock")
"""Files of the cache that stay."""

_APT_HELPER = "/usr/lib/apt/apt-helper"
_OPTIONS = ("-oAPT::Sandbox::User=root", "-oAcquire::Retries=2", "-oAcquire::http::Timeout=30")
_FAILED = re.compile(r"^E: Failed to fetch (\S+)\s+(.*)$", re.MULTILINE)
_NOT_THERE = re.compile(r"\b(404|410)\b|File not found|No such file")


class PackageGone(KiwiliteError):
    """Neither the repository nor the cache has a selected package any more (exit status 1)."""


class PackageChanged(KiwiliteError):
    """A repository has other content under a selected package's name (exit status 1)."""


class NotInCache(SourceUnreachable):
    """A build without a network lacks packages (exit status 5)."""


class NotAsSelected(StageFailed):
    """apt installed something else than what was selected (exit status 4)."""


@contextlib.contextmanager
def repository(job: Job, packages: Sequence[PackageFile]) -> Iterator[Path]:
    """While inside, a folder with exactly `packages`, plain, and their index, as apt wants it.

    Raises PackageGone, PackageChanged, NotInCache, SourceUnreachable.
    """
    with _workplace(job) as folder:
        kept = fetched(job, packages)
        forms = plain(job.cache, [*kept.values()], folder)
        rows = []
        for package in packages:
            file, form = file_in(folder, package), forms[kept[package.sha256]]
            file.hardlink_to(form.path)
            rows.append(
                f"{control_of(job, file).strip()}\nFilename: ./{file.name}\n"
                f"Size: {form.size}\nSHA256: {form.sha256}\n"
            )
        (folder / "Packages").write_text("\n".join(rows))
        yield folder


def file_in(folder: Path, package: PackageFile) -> Path:
    """The file of a package in a folder of such."""
    return folder / f"{package.sha256}.deb"


def fetched(job: Job, packages: Sequence[PackageFile]) -> Mapping[str, Path]:
    """The file of each package by digest, downloaded where the cache lacks it.

    Raises as `repository`.
    """
    paths = {p.sha256: file_in(job.cache / FOLDER, p) for p in packages}
    (job.cache / FOLDER).mkdir(exist_ok=True)
    if any(not _sound(job, paths[p.sha256], p) for p in packages):
        with (job.cache / "downloading").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Another build may have got them meanwhile.
            lacking = [p for p in packages if not _sound(job, paths[p.sha256], p)]
            with _workplace(job) as folder:
                _download(job, lacking, folder, paths)
    for path in paths.values():
        with contextlib.suppress(PermissionError):  # somebody else has put it there
            os.utime(path)  # the file's time is its last use
    return paths


def use(cache: Path, packages: Iterable[PackageFile]) -> None:
    """Let the files of `packages` that are there count as used now."""
    for package in packages:
        with contextlib.suppress(OSError):
            os.utime(file_in(cache / FOLDER, package))


@contextlib.contextmanager
def _workplace(job: Job) -> Iterator[Path]:
    """A folder in the cache, where links to its files can be; those of dead builds go."""
    work = job.cache / WORK
    work.mkdir(exist_ok=True)
    with contextlib.ExitStack() as held:
        with (job.cache / "work.lock").open("w") as entry:
            fcntl.flock(entry, fcntl.LOCK_EX)
            for other in work.iterdir():
                _sweep(other)
            folder = Path(tempfile.mkdtemp(dir=work))
            lock = held.enter_context((folder / "lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def _sweep(folder: Path) -> None:
    """Remove a work folder that nobody holds any more."""
    with contextlib.suppress(BlockingIOError), (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)


def _sound(job: Job, path: Path, package: PackageFile) -> bool:
    """Whether the file is there with the right content; a wrong one is removed."""
    if not path.is_file():
        return False
    if path.stat().st_size == package.size and digest_file(path) == package.sha256:
        return True
    job.note(f"{path.name} ({package.name}) in the cache is damaged, and is downloaded again\n")
    path.unlink()
    return False


def _download(
    job: Job, packages: Sequence[PackageFile], folder: Path, paths: Mapping[str, Path]
) -> None:
    """Get all of `packages` into the cache; what arrived is kept even where others failed."""
    remote = [p for p in packages if is_local(p.where.repository) is None]
    if remote and job.network == "offline":
        raise _not_in_cache(remote)
    for package in packages:
        local = is_local(package.where.repository)
        if local is not None and (local / package.where.path).is_file():
            shutil.copyfile(local / package.where.path, folder / package.sha256)
    said = _fetch(job, {_url(job, p): folder / p.sha256 for p in remote})
    gone = [p for p in remote if not (folder / p.sha256).exists() and _from_the_past(job, p)]
    _fetch(job, {_from_the_past(job, p): folder / p.sha256 for p in gone})
    reasons = {unquote(url): why for url, why in _FAILED.findall(said)}
    complaints: list[KiwiliteError] = []
    for package in packages:
        file = folder / package.sha256
        url = unquote(_url(job, package)) if package in remote else None
        # apt leaves what it got of a download that broke off.
        if not file.is_file() or (url in reasons and package not in gone):
            complaints.append(_absent(package, url, reasons.get(url or "") or said))
        elif (found := digest_file(file)) != package.sha256:
            complaints.append(_changed(package, found))
        else:
            file.rename(paths[package.sha256])
    if complaints:
        raise complaints[0]


def _fetch(job: Job, wanted: Mapping[str, Path]) -> str:
    """Let apt download what it can; what it printed where that was not all."""
    words = [str(word) for row in wanted.items() for word in row]
    if not words:
        return ""
    try:
        job.on_host.run([_APT_HELPER, *_OPTIONS, "download-file", *words])
    except StageFailed as error:
        job.note(error.message)
        return job.log.read_text(errors="replace").rpartition("\n+ ")[2]
    return ""


def _url(job: Job, package: PackageFile) -> str:
    place = package.where
    address = address_of(place.repository, place.snapshot, job.mirrors, job.snapshots)
    return f"{address.rstrip('/')}/{place.path.removeprefix('./')}"


def _from_the_past(job: Job, package: PackageFile) -> str:
    """Where a snapshot mirror of this host has what its mirror has no more; else empty."""
    place = package.where
    name = place.repository.removeprefix(DISTRO)
    if place.snapshot or not place.seen or name not in job.snapshots:
        return ""
    return _url(job, replace(package, where=replace(place, snapshot=place.seen)))


def _absent(package: PackageFile, url: str | None, reason: str) -> KiwiliteError:
    if url is None or _NOT_THERE.search(reason):
        return PackageGone(
            f"{package.where.repository} no longer has {_words(package)}, and the cache has not "
            f"got it"
        )
    return SourceUnreachable(
        f"{_words(package)} cannot be downloaded from {url}: {reason.strip()}",
        hint="check the network, the <repository>, and `mirrors:` in kiwilite.yml",
    )


def _changed(package: PackageFile, found: str) -> PackageChanged:
    return PackageChanged(
        f"{package.where.repository} has {_words(package)} with other content: its SHA-256 is "
        f"{found}, and not {package.sha256}, with which it was selected"
    )


def _not_in_cache(packages: Sequence[PackageFile]) -> NotInCache:
    size = sum(p.size for p in packages) / (1 << 20)
    rows = "".join(f"\n    {_words(p)}" for p in packages)
    return NotInCache(
        f"without a network {len(packages)} packages are missing in the cache, {size:.1f} MiB:"
        f"{rows}",
        hint="build once without --offline: that downloads them",
    )


def _words(package: PackageFile) -> str:
    return f"{package.name} {package.version} ({package.architecture})"


def lacking(tree: Path, packages: Sequence[PackageFile]) -> tuple[PackageFile, ...]:
    """Those of `packages` that the tree does not have in this version."""
    there = stanzas((tree / "var/lib/dpkg/status").read_text(errors="replace"))
    return tuple(p for p in packages if not _is_installed(p, there.get(p.name, "")))


def _is_installed(package: PackageFile, stanza: str) -> bool:
    installed = field(stanza, "Status").endswith(" installed")
    return installed and field(stanza, "Version") == package.version


def check_installed(tree: Path, packages: Sequence[PackageFile]) -> None:
    """See that the tree has all of `packages`, in these versions. Raises NotAsSelected."""
    if wrong := [_words(package) for package in lacking(tree, packages)]:
        raise NotAsSelected(
            f"{len(wrong)} packages were selected and not installed, as nothing needs them: "
            f"{', '.join(wrong)}",
        )
