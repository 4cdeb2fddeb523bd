"""A minimal Debian binary package, for a package that exists to satisfy a dependency.

An ar archive of three members: "debian-binary" with the text "2.0\\n", "control.tar"
and "data.tar". Both tar members stay uncompressed (allowed since dpkg 1.17.6), so that
the bytes do not depend on a compression library.

ar member header, 60 bytes: name 16, mtime 12, uid 6, gid 6, mode 8 (octal), size 10,
all ASCII padded with blanks, then "`\\n"; data is padded with "\\n" to 2 bytes.

Sources: deb(5), deb-control(5), ar(5).
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from typing import Final

from kiwilite.errors import KiwiliteError

_REQUIRED: Final = ("Package", "Version", "Architecture", "Maintainer", "Description")
_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9+.-]+")
_FIELD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


class BadDeb(KiwiliteError):
    """The fields or files given do not make a valid package."""


def write_deb(
    control: Mapping[str, str], files: Mapping[str, bytes] | None = None, *, mtime: int = 0
) -> bytes:
    """The package's bytes: `control` fields in the given order, `files` by absolute path.

    Files are root's, 0644, their directories 0755; every time stamp is `mtime`.
    Raises BadDeb if a field that dpkg needs is missing or malformed.
    """
    _check(control)
    text = "".join(f"{field}: {value}\n" for field, value in control.items())
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar", _tar({"control": text.encode()}, mtime)),
        ("data.tar", _tar(files or {}, mtime)),
    )
    return b"!<arch>\n" + b"".join(_ar_member(name, data, mtime) for name, data in members)


def _check(control: Mapping[str, str]) -> None:
    for field in _REQUIRED:
        if not control.get(field):
            raise BadDeb(f"the control field {field} is missing")
    if not _PACKAGE.fullmatch(control["Package"]):
        raise BadDeb(f"{control['Package']!r} is no package name")
    for field, value in control.items():
        if not _FIELD.fullmatch(field):
            raise BadDeb(f"{field!r} is no control field name")
        lines = value.split("\n")
        if any(not line.strip() or line[0] not in " \t" for line in lines[1:]):
            raise BadDeb(f"in {field}, a continuation line is empty or not indented")
        if "\r" in value or "\0" in value:
            raise BadDeb(f"{field} has control characters in it")


def _tar(files: Mapping[str, bytes], mtime: int) -> bytes:
    paths = {path.lstrip("/"): data for path, data in files.items()}
    if len(paths) != len(files):
        raise BadDeb("a file is given twice")
    directories = {"."}
    for path in paths:
        parts = path.split("/")
        if any(part in ("", ".", "..") for part in parts) or "\0" in path:
            raise BadDeb(f"{path!r} is no plain path")
        directories |= {"./" + "/".join(parts[:n]) for n in range(1, len(parts))}
    if clash := directories & {"./" + path for path in paths}:
        raise BadDeb(f"{min(clash)!r} is a file and a directory")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(directories):
            tar.addfile(_tar_info(name, tarfile.DIRTYPE, 0o755, 0, mtime))
        for path in sorted(paths):
            info = _tar_info("./" + path, tarfile.REGTYPE, 0o644, len(paths[path]), mtime)
            tar.addfile(info, io.BytesIO(paths[path]))
    return out.getvalue()


def _tar_info(name: str, kind: bytes, mode: int, size: int, mtime: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    info.size = size
    info.mtime = mtime
    info.uname = info.gname = "root"
    return info


def _ar_member(name: str, data: bytes, mtime: int) -> bytes:
    header = f"{name:<16}{mtime:<12}{0:<6}{0:<6}{0o100644:<8o}{len(data):<10}`\n"
    return header.encode() + data + b"\n" * (len(data) % 2)
