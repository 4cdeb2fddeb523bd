"""Packages as apt and dpkg can read them without decompressing, kept beside the originals.

    packages/plain/SHA256.SUM.deb    SHA256 is of the package, SUM of this file

A package is unpacked twice in a minimal tree, by mmdebstrap and by dpkg, and again whenever
another package changes the selection: with xz, decompression is a third of that. A plain
one has the same control files and the same content, so what is installed is the same, and
dpkg notes nothing of a package's file. It is a function of the package alone. Its own sum
is its name, and is checked before each use; a damaged one is made again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from kiwilite.build.digest import digest_file
from kiwilite.ondisk.deb import BadDeb, write_uncompressed

FOLDER = "plain"


@dataclass(frozen=True, slots=True)
class Plain:
    """A package's file, and what apt's index says of it."""

    path: Path
    size: int
    sha256: str


def plain(cache: Path, originals: Sequence[Path], scratch: Path) -> dict[Path, Plain]:
    """The plain form of each of `originals`, which are sound and called SHA256.deb.

    What is lacking in `cache` is made in `scratch`, a folder in it. A package that only
    dpkg can decompress is its own plain form.
    """
    folder = cache / FOLDER
    folder.mkdir(exist_ok=True)
    kept = {path.name.partition(".")[0]: path for path in folder.glob("*.*.deb")}

    def one(original: Path) -> Plain:
        before = kept.get(original.stem)
        found = _sound(before) if before is not None else None
        return found or _made(original, folder, scratch)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # the decompressors leave Python's lock
        return dict(zip(originals, pool.map(one, originals), strict=True))


def _sound(path: Path) -> Plain | None:
    """A kept file, used now; None where it is not what its name says."""
    with contextlib.suppress(FileNotFoundError):  # a broken one, which another build removed
        digest = digest_file(path)
        if path.name.split(".")[1] == digest:
            os.utime(path)
            return Plain(path, path.stat().st_size, digest)
        path.unlink()
    return None


def _made(original: Path, folder: Path, scratch: Path) -> Plain:
    new = scratch / f"{original.stem}.plain"
    try:
        with original.open("rb") as source, new.open("wb") as target:
            write_uncompressed(source, target)
    except BadDeb:
        new.unlink()
        return Plain(original, original.stat().st_size, original.stem)
    digest = digest_file(new)
    path = folder / f"{original.stem}.{digest}.deb"
    new.rename(path)
    return Plain(path, path.stat().st_size, digest)
